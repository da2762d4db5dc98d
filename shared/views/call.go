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
	claim Claim
	parts [][]entry
	views int
	size  size
}

// add appends a part, that is a key with its views.
func (c *call) add(part []entry, size size) {
	c.parts = append(c.parts, part)
	c.views += len(part)
	c.size.args += size.args
	c.size.bytes += size.bytes
}

// takes says whether there is room for one part more.
func (c *call) takes(part []entry, size size) bool {
	return c.kind == part[0].kind && c.views+len(part) <= callViews && c.size.bytes+size.bytes <= callBytes
}

// command is the call by the script's name, or by its whole source.
func (c *call) command(ctx context.Context, whole bool) *redis.Cmd {
	width := 1 + len(c.kind.companions)
	args := newArgs(10 + len(c.parts)*(2+width) + c.size.args)
	if whole {
		args.list = append(args.list, "eval", c.kind.script.source)
	} else {
		args.list = append(args.list, "evalsha", c.kind.script.sha)
	}
	args.small(width * len(c.parts))
	for _, part := range c.parts {
		key := part[0].key
		args.text(key)
		for _, suffix := range c.kind.companions {
			args.text(key + suffix)
		}
	}
	args.list[firstKey] = c.parts[0][0].key // a string itself: go-redis takes the slot from it
	c.claim.header(&args, width)
	for _, part := range c.parts {
		args.small(len(part))
		args.small(0) // how many arguments follow
		from := len(args.list)
		c.kind.append(&args, part)
		args.list[from-1] = len(args.list) - from
	}
	cmd := redis.NewCmd(ctx, args.list...)
	cmd.SetFirstKeyPos(firstKey)
	return cmd
}

// firstKey is where the first key stands in EVALSHA and EVAL.
const firstKey = 3

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
