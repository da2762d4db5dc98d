package outbox

import (
	"context"
	"sync"
	"testing"

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
