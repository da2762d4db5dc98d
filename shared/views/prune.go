package views

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

//go:embed prune.lua
var pruneLua string

// Prune removes from masters, as Begin returned them, what was written in epochs before
// the database's and not written again since: after a rebuild, that is what only a lost
// timeline of the database knew. It returns how many keys and members went. Live writes
// may go on. It may be stopped at any time, and goes on where it was; it fails as
// SetEpoch does.
func Prune(ctx context.Context, client redis.UniversalClient, databaseEpoch int64, masters ...Master) (int, error) {
	var removed atomic.Int64
	err := eachMaster(ctx, client, func(ctx context.Context, server *redis.Client) error {
		is := func(m Master) bool { return m.Address == server.Options().Addr }
		i := slices.IndexFunc(masters, is)
		if i < 0 {
			return nil
		}
		p := &pruning{client: client, server: server, master: masters[i], script: redis.NewScript(pruneLua), epoch: databaseEpoch}
		err := p.run(ctx)
		removed.Add(int64(p.removed))
		return err
	})
	return int(removed.Load()), wrap(err, "views: pruning")
}

// pruning is one go through the keys of a master.
type pruning struct {
	client  redis.UniversalClient
	server  *redis.Client
	master  Master
	script  *redis.Script
	epoch   int64
	removed int
}

// versionsAt is a key's versions and where in them to go on.
type versionsAt struct{ key, cursor string }

func (p *pruning) run(ctx context.Context) error {
	if err := p.script.Load(ctx, p.server).Err(); err != nil {
		return err
	}
	// A server keeps nothing of SCAN's cursors, so one that was noted is as good as new.
	cursor, err := strconv.ParseUint(cmp.Or(p.master.rebuild.pruned, "0"), 10, 64)
	if err != nil {
		return err
	}
	for {
		keys, next, err := p.server.Scan(ctx, cursor, keyPrefix+"*"+keySuffix+":v", diffKeys).Result()
		if err != nil {
			return err
		}
		open := make([]versionsAt, len(keys))
		for i, key := range keys {
			open[i] = versionsAt{strings.TrimSuffix(key, ":v"), "0"}
		}
		for len(open) > 0 {
			if open, err = p.page(ctx, open); err != nil {
				return err
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
		if err := p.master.reach(ctx, p.client, "pruned", strconv.FormatUint(cursor, 10)); err != nil {
			return err
		}
	}
}

// page prunes a page of each key, and returns those that have more.
func (p *pruning) page(ctx context.Context, open []versionsAt) (more []versionsAt, err error) {
	pipe := p.server.Pipeline()
	replies := make([]*redis.Cmd, len(open))
	for i, v := range open {
		replies[i] = p.script.EvalSha(ctx, pipe, []string{v.key, v.key + ":v", v.key + ":t", v.key + ":o"}, p.epoch, v.cursor)
	}
	_, _ = pipe.Exec(ctx) // its error is that of a reply
	for i, v := range open {
		reply, err := replies[i].Result()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", v.key, err)
		}
		values, _ := reply.([]any)
		if len(values) != 2 {
			return nil, fmt.Errorf("%s: the script answered %v", v.key, reply)
		}
		n, _ := values[1].(int64)
		p.removed += int(n)
		if v.cursor, _ = values[0].(string); v.cursor != "0" && v.cursor != "" {
			more = append(more, v)
		}
	}
	return more, nil
}
