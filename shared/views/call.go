package views

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

const (
	// callViews is the most views in one script call. A call keeps the server busy
	// for one to two milliseconds then.
	callViews = 500
	// callBytes is the most data in one call, in bytes; one view may exceed it.
	callBytes = 1 << 20
	// pipelineViews and pipelineBytes limit what is sent before replies are read.
	pipelineViews = 20 * callViews
	pipelineBytes = 16 << 20
)

// call is one script call: some keys of one kind with their views.
type call struct {
	kind  *kind
	parts [][]entry
	views int
	bytes int
	keys  []any
	args  []any
}

func newCall(kind *kind, claim Claim) *call {
	return &call{kind: kind, args: claim.header(1 + len(kind.companions))}
}

// add appends a part, that is a key with its views.
func (c *call) add(part []entry) {
	before := len(c.args)
	c.args = append(c.args, len(part), 0)
	c.args = c.kind.append(c.args, part)
	c.args[before+1] = len(c.args) - before - 2

	key := part[0].key
	c.keys = append(c.keys, key)
	for _, suffix := range c.kind.companions {
		c.keys = append(c.keys, key+suffix)
	}
	c.parts = append(c.parts, part)
	c.views += len(part)
	for _, arg := range c.args[before:] {
		if text, ok := arg.(string); ok {
			c.bytes += len(text)
		}
	}
}

// command is the call by the script's name, or by its whole source.
func (c *call) command(ctx context.Context, whole bool) *redis.Cmd {
	args := make([]any, 0, 3+len(c.keys)+len(c.args))
	if whole {
		args = append(args, "eval", c.kind.script.source)
	} else {
		args = append(args, "evalsha", c.kind.script.sha)
	}
	args = append(args, len(c.keys))
	args = append(args, c.keys...)
	args = append(args, c.args...)
	cmd := redis.NewCmd(ctx, args...)
	cmd.SetFirstKeyPos(3)
	return cmd
}

// settle writes the reply's letters to outcomes and returns the errors in it.
func (c *call) settle(cmd *redis.Cmd, outcomes []Outcome) error {
	reply, err := cmd.StringSlice()
	if err != nil {
		return fmt.Errorf("views: writing %d %s views: %w", c.views, c.kind.name, err)
	}
	if len(reply) == 0 || len(reply[0]) != c.views {
		return fmt.Errorf("views: %s script answered %.100q to %d views", c.kind.name, reply, c.views)
	}
	letters := reply[0]
	for _, part := range c.parts {
		for i := range part {
			outcomes[part[i].index] = outcomeOf(letters[i])
		}
		letters = letters[len(part):]
	}
	if len(reply) == 1 {
		return nil
	}
	return errors.New("views: " + strings.Join(reply[1:], "; "))
}

func outcomeOf(letter byte) Outcome {
	switch letter {
	case 'a':
		return Applied
	case 's':
		return Stale
	case 'x':
		return Expired
	default:
		return Failed
	}
}
