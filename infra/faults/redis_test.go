package faults

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/views"
)

// TestRedisLosesEverything flushes Redis under traffic, and then replaces it by an
// empty one, as a restart without data does.
func TestRedisLosesEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stores{}, "trade", "position", "ledger")
	w.startRelay(t)
	w.send(t, some(100, "first", executed)...)
	w.decided(t, "trade", 50)
	if err := w.deps.Redis.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	w.send(t, some(100, "second", executed)...)
	w.holds(t)

	empty := stacktest.RedisServer(t)
	w.send(t, some(100, "third", executed)...)
	target := fmt.Sprint("127.0.0.1:", empty.Port())
	w.redis.Redirect(target)
	w.relay.redis.Redirect(target)
	w.deps.Redis = openRedis(t, empty.URL)
	w.holds(t)
}

// TestRedisClusterLosesAMaster kills a master of a Redis Cluster under traffic; its
// replica takes over, without the tail.
func TestRedisClusterLosesAMaster(t *testing.T) {
	t.Parallel()
	heavy(t)
	cluster := stacktest.RedisCluster(t)
	w := newWorld(t, stores{redisURL: cluster.URL}, "trade", "position", "ledger")
	w.startRelay(t)
	w.send(t, some(100, "before", executed)...)
	w.decided(t, "trade", 50)
	master, _ := ends(t, w.deps.Redis, views.Key("acme", "trades", "entity-1"))
	for _, node := range cluster.Nodes {
		if strings.HasSuffix(master.Options().Addr, fmt.Sprint(":", node.Port())) {
			if err := syscall.Kill(node.PID(), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			<-node.Done()
		}
	}
	w.send(t, some(100, "while", executed)...)
	w.decided(t, "trade", 200)
	w.reopenRedis(t)
	w.holds(t)
}

// TestRedisClusterMovesASlot moves the slot of a view that is written all the time.
func TestRedisClusterMovesASlot(t *testing.T) {
	t.Parallel()
	heavy(t)
	cluster := stacktest.RedisCluster(t)
	w := newWorld(t, stores{redisURL: cluster.URL}, "trade", "position", "ledger")
	w.startRelay(t)
	w.send(t, some(50, "before", executed)...)
	w.decided(t, "trade", 50)
	ctx, stop := context.WithCancel(t.Context())
	var sending sync.WaitGroup
	sending.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			w.send(t, some(5, fmt.Sprint("while-", n), executed)...)
			w.decided(t, "trade", 50+5*n)
		}
	})
	for range 3 {
		moveSlot(t, w.deps.Redis, views.Key("acme", "trades", "entity-1"))
	}
	stop()
	sending.Wait()
	w.reopenRedis(t)
	w.holds(t)
}

// reopenRedis forgets the picture that the test's client has of a cluster, which
// the client keeps for a while, once there is a new one.
func (w *world) reopenRedis(t *testing.T) {
	t.Helper()
	stacktest.Eventually(t, time.Minute, "a cluster with all its masters", func(ctx context.Context) bool {
		client, err := views.Open(ctx, w.redisURL)
		if err != nil {
			return false
		}
		t.Cleanup(func() { _ = client.Close() })
		w.deps.Redis = client
		return true
	})
}

// moveSlot moves the slot of a key to another master, key by key, as redis-cli
// does.
func moveSlot(t *testing.T, client redis.UniversalClient, key string) {
	t.Helper()
	source, target := ends(t, client, key)
	do := func(node *redis.Client, args ...any) any {
		result, err := node.Do(t.Context(), args...).Result()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return result
	}
	slot := do(source, "CLUSTER", "KEYSLOT", key)
	from, to := do(source, "CLUSTER", "MYID"), do(target, "CLUSTER", "MYID")
	do(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", from)
	do(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", to)
	host, port, _ := strings.Cut(target.Options().Addr, ":")
	for {
		keys, err := source.Do(t.Context(), "CLUSTER", "GETKEYSINSLOT", slot, 1).StringSlice()
		if err != nil {
			t.Fatal(err)
		}
		if len(keys) == 0 {
			break
		}
		do(source, "MIGRATE", host, port, keys[0], 0, 5000)
	}
	do(target, "CLUSTER", "SETSLOT", slot, "NODE", to)
	do(source, "CLUSTER", "SETSLOT", slot, "NODE", to)
	// Moved on before all nodes know it, the slot may be nobody's for good.
	stacktest.Eventually(t, time.Minute, "all masters to know it", func(ctx context.Context) bool {
		return eachMaster(ctx, client, func(ctx context.Context, master *redis.Client) error {
			if owner, err := ownerOf(ctx, master, slot); err != nil || owner != target.Options().Addr {
				return errors.Join(err, errors.New("it has another owner"))
			}
			return nil
		}) == nil
	})
}

func eachMaster(ctx context.Context, client redis.UniversalClient, do func(context.Context, *redis.Client) error) error {
	cluster, ok := client.(*redis.ClusterClient)
	if !ok {
		return errors.New("it is no cluster")
	}
	return cluster.ForEachMaster(ctx, do)
}

// ownerOf is the address of who has a slot, as a node knows it.
func ownerOf(ctx context.Context, node *redis.Client, slot any) (string, error) {
	ranges, err := node.ClusterSlots(ctx).Result() //nolint:staticcheck // Redis 6.2 has no other
	if err != nil {
		return "", err
	}
	for _, r := range ranges {
		if n, ok := slot.(int64); ok && int64(r.Start) <= n && n <= int64(r.End) && len(r.Nodes) > 0 {
			return r.Nodes[0].Addr, nil
		}
	}
	return "", nil
}

// ends returns the master that holds a key, and another.
func ends(t *testing.T, client redis.UniversalClient, key string) (source, target *redis.Client) {
	t.Helper()
	slot, err := client.Do(t.Context(), "CLUSTER", "KEYSLOT", key).Result()
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	err = eachMaster(t.Context(), client, func(ctx context.Context, master *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		owner, err := ownerOf(ctx, master, slot)
		if owner == master.Options().Addr {
			source = master
		} else {
			target = master
		}
		return err
	})
	if err == nil && (source == nil || target == nil) {
		err = errors.New("no master has the slot")
	}
	if err != nil {
		t.Fatal(err)
	}
	return source, target
}
