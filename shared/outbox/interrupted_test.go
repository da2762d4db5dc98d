package outbox

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/millrace/millrace/shared/views"
)

// before has a relay call do before each chunk that it shows, with how many it
// has shown.
func before(r *Relay, do func(shown int)) {
	apply, shown := r.apply, 0
	r.apply = func(ctx context.Context, client redis.UniversalClient, all []views.View, c views.Claim) (views.Result, error) {
		do(shown)
		shown++
		return apply(ctx, client, all, c)
	}
}

// populated is a world with three chunks of entities that nobody has shown yet.
func populated(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	const many = 2*loadItems + 10
	for n := 0; n < many; n += 300 {
		w.commit(t, change{subjects: subjects(n, min(n+300, many)), by: 4})
	}
	w.exec(t, `DELETE FROM millrace.outbox`)
	return w
}

// Redis is flushed in the middle of its rebuild, and keeps its replication id:
// what was shown before is gone, and the rebuild must not count.
func TestRebuildFlushedAgain(t *testing.T) {
	t.Parallel()
	w := populated(t)
	r := w.relay()
	before(r, func(shown int) {
		if shown == 1 {
			if err := w.redis.FlushAll(t.Context()).Err(); err != nil {
				t.Error(err)
			}
		}
	})
	if n, err := r.Reconcile(t.Context()); n != 0 || err == nil {
		t.Errorf("rebuilt %d: %v", n, err)
	}
	mustReconcile(t, w.relay(), 1)
	mustSettle(t, w)
}

// A sweeper, another one and an operator rebuild the same Redis at once.
func TestRebuildsAtOnce(t *testing.T) {
	t.Parallel()
	w := populated(t)
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			if _, err := w.relay().Reconcile(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Go(func() {
		if err := w.relay().Restore(t.Context(), Part{}); err != nil {
			t.Error(err)
		}
	})
	all.Wait()
	mustReconcile(t, w.relay(), 0)
	mustSettle(t, w)
}

// A rebuild takes longer than the request that asks for it may last: the next
// one goes on where it was cut off.
func TestRebuildGoesOn(t *testing.T) {
	t.Parallel()
	w := populated(t)
	cuts := 0
	for ; w.cutOff(t) != nil; cuts++ {
		if cuts == 10 {
			t.Fatal("it does not end")
		}
	}
	if cuts < 2 {
		t.Error("it was not cut off")
	}
	mustSettle(t, w)
}

// What cannot be shown does not keep an interrupted rebuild from what comes after, but
// from being counted.
func TestRebuildGoesOnAfterWhatCannotBeShown(t *testing.T) {
	t.Parallel()
	w := populated(t)
	first := views.Key(tenant, "tally", subjectOf(0))
	if err := w.redis.LPush(t.Context(), first, "in the way").Err(); err != nil {
		t.Fatal(err)
	}
	for range 4 { // three chunks of entities, one of aggregates
		if err := w.cutOff(t); err == nil {
			t.Fatal("what cannot be shown counts as shown")
		}
	}
	if err := w.redis.Del(t.Context(), first).Err(); err != nil {
		t.Fatal(err)
	}
	want, err := w.expected(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if different, err := views.Diff(t.Context(), w.redis, want); err != nil || len(different) != 1 {
		t.Error("not only one view is missing: ", different, err)
	}
	mustReconcile(t, w.relay(), 1)
	mustSettle(t, w)
}

// cutOff has a process rebuild Redis that is cut off before the second chunk.
func (w *world) cutOff(t *testing.T) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := w.relay()
	before(r, func(shown int) {
		if shown == 1 {
			cancel()
		}
	})
	_, err := r.Reconcile(ctx)
	return err
}

// A connection to PostgreSQL is lost, once and anywhere in a rebuild: the rebuild goes
// on, or the next one does, and neither shows all of it again.
func TestRebuildLosesAConnection(t *testing.T) {
	t.Parallel()
	w := populated(t)
	var left, shown atomic.Int64
	pool := w.newPool(t, func(config *pgxpool.Config) {
		config.PrepareConn = func(ctx context.Context, conn *pgx.Conn) (bool, error) {
			if left.Add(-1) == 0 {
				return true, conn.Close(ctx)
			}
			return true, nil
		}
	})
	reconcile := func() (int, error) {
		r := w.relay(func(c *RelayConfig) { c.Pool = pool })
		before(r, func(int) { shown.Add(1) })
		return r.Reconcile(t.Context())
	}
	if _, err := reconcile(); err != nil {
		t.Fatal(err)
	}
	all, acquired := shown.Load(), -left.Load()
	for n := range acquired {
		if err := w.redis.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		shown.Store(0)
		left.Store(n + 1)
		if _, err := reconcile(); err != nil {
			if _, err := reconcile(); err != nil {
				t.Errorf("connection %d is lost: %v", n, err)
			}
		}
		if shown.Load() > all+1 {
			t.Errorf("connection %d is lost: %d chunks were shown, of %d", n, shown.Load(), all)
		}
	}
	mustSettle(t, w)
}
