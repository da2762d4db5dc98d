package views

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

//go:embed prune.lua
var pruneLua string

// Prune removes from all masters what was written in epochs before the database's
// and not written again since: after a rebuild, that is what only a lost timeline of
// the database knew. It returns how many keys and members went. Live writes may go
// on; it may be stopped and run again at any time.
func Prune(ctx context.Context, client redis.UniversalClient, databaseEpoch int64) (int, error) {
	script := redis.NewScript(pruneLua)
	var removed atomic.Int64
	err := eachMaster(ctx, client, func(ctx context.Context, master *redis.Client) error {
		return scan(ctx, master, keyPrefix+"*"+keySuffix+":v", func(versions string) error {
			n, err := pruneKey(ctx, master, script, strings.TrimSuffix(versions, ":v"), databaseEpoch)
			removed.Add(int64(n))
			return err
		})
	})
	return int(removed.Load()), wrap(err, "views: pruning")
}

func pruneKey(ctx context.Context, master *redis.Client, script *redis.Script, key string, epoch int64) (int, error) {
	keys := []string{key, key + ":v", key + ":t", key + ":o"}
	removed := 0
	for cursor := "0"; ; {
		reply, err := script.Run(ctx, master, keys, epoch, cursor).Slice()
		if err != nil {
			return removed, err
		}
		if len(reply) != 2 {
			return removed, fmt.Errorf("the script answered %v", reply)
		}
		next, _ := reply[0].(string)
		n, _ := reply[1].(int64)
		removed += int(n)
		if cursor = next; cursor == "0" || cursor == "" {
			return removed, nil
		}
	}
}
