package outbox

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/millrace/millrace/shared/views"
)

func (w *world) logged(t *testing.T, text string, want int) {
	t.Helper()
	logged := w.logs.String()
	if n := strings.Count(logged, text); n != want {
		t.Errorf("%q was logged %d times, want %d:\n%s", text, n, want, logged)
	}
}

func mustReconcile(t *testing.T, r *Relay, want int) {
	t.Helper()
	if n, err := r.Reconcile(t.Context()); err != nil || n != want {
		t.Fatalf("rebuilt %d, want %d: %v", n, want, err)
	}
}

// Fault 21: Redis is flushed. It is rebuilt while live writes go on.
func TestRebuildFlushed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.relay()
	mustReconcile(t, r, 1)
	mustReconcile(t, r, 0)
	const many = 2*loadItems + 10
	for n := 0; n < many; n += 300 {
		w.commit(t, change{subjects: subjects(n, min(n+300, many)), by: 4})
	}
	if _, err := r.Sweep(t.Context(), 0, 2); err != nil {
		t.Fatal(err)
	}
	mustSettle(t, w)

	if err := w.redis.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	live := w.relay()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			c := w.commit(t, change{subjects: subjects(n%many, n%many+1), by: 1})
			if err := live.Publish(t.Context(), []Claim{c}); err != nil {
				t.Error(err)
			}
		}
	}()
	mustReconcile(t, r, 1)
	close(stop)
	<-stopped
	mustSettle(t, w)
	mustReconcile(t, r, 0)
	w.logged(t, "Redis is rebuilt", 2)
}

func subjects(from, to int) (all []string) {
	for n := from; n < to; n++ {
		all = append(all, subjectOf(n))
	}
	return all
}

// Fault 22: PostgreSQL fails over and loses its tail: an entity that Redis
// shows is gone, and another uses a version again.
func TestRebuildAfterFailover(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.relay()
	mustReconcile(t, r, 1)
	first := w.commit(t, change{subjects: []string{"kept"}, by: 1})
	lost := w.commit(t, change{subjects: []string{"kept", "lost"}, by: 7})
	if err := r.Publish(t.Context(), []Claim{first, lost}); err != nil {
		t.Fatal(err)
	}
	mustSettle(t, w)
	// Committed, and not shown when they got lost.
	late := w.commit(t, change{subjects: []string{"kept"}, by: 9})
	gone := w.commit(t, change{subjects: []string{"lost", "never shown"}, by: 9})

	w.exec(t, `DELETE FROM millrace.entities WHERE subject <> 'kept'`)
	w.exec(t, `DELETE FROM tallies WHERE subject <> 'kept'`)
	w.exec(t, `UPDATE millrace.entities SET version = 1`)
	w.exec(t, `UPDATE tallies SET total = 1`)
	w.exec(t, `UPDATE millrace.aggregates SET value = 1, version = 1`)
	w.exec(t, `DELETE FROM millrace.outbox`)
	w.failOver(t)
	mustReconcile(t, r, 1)
	mustSettle(t, w)

	again := w.commit(t, change{subjects: []string{"kept"}, by: 2}) // version 2, another time
	if err := r.Publish(t.Context(), []Claim{again, late}); err != nil {
		t.Fatal(err)
	}
	mustSettle(t, w)

	// Redis knows no more of what is gone, so nothing stops a claim about it but its
	// age. Once that would stop it, what it wrote is removed.
	if err := r.Publish(t.Context(), []Claim{gone}); err != nil {
		t.Fatal(err)
	}
	if w.shows(t.Context()) == nil {
		t.Error("nothing came late: the test tests nothing")
	}
	mustReconcile(t, r, 0)
	w.lateClaimsExpire(t)
	mustReconcile(t, r, 0)
	mustSettle(t, w)
	w.logged(t, "Redis is rebuilt", 2)
}

// lateClaimsExpire makes it the time from which Redis takes no claims of an epoch
// before its own.
func (w *world) lateClaimsExpire(t *testing.T) {
	t.Helper()
	const key = "millrace:{!epoch-0}"
	stamp := strings.Fields(w.redis.Get(t.Context(), key).Val())
	if len(stamp) != 3 {
		t.Fatal("Redis does not wait for late claims: ", stamp)
	}
	if err := w.redis.Set(t.Context(), key, strings.Join(append(stamp[:2], "1"), " "), 0).Err(); err != nil {
		t.Fatal(err)
	}
}

// A crash in the rebuild, or before its end is noted, leaves it to the next
// sweep.
func TestRebuildIsDoneAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := w.newRedis(t)
	breaks := &endFault{}
	client.AddHook(breaks)
	r := w.relay(func(c *RelayConfig) { c.Redis = client })
	c := w.commit(t, change{subjects: []string{"a"}, by: 1})
	breaks.on.Store(true)
	if _, err := r.Reconcile(t.Context()); err == nil {
		t.Fatal("no error")
	}
	if err := w.shows(t.Context()); err != nil {
		t.Fatal(err)
	}
	breaks.on.Store(false)
	mustReconcile(t, r, 1)
	mustReconcile(t, r, 0)
	if err := r.Publish(t.Context(), []Claim{c}); err != nil {
		t.Fatal(err)
	}
	mustSettle(t, w)
}

// endFault breaks SCAN, with which the end of a rebuild begins.
type endFault struct{ on atomic.Bool }

func (f *endFault) DialHook(next redis.DialHook) redis.DialHook { return next }
func (f *endFault) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (f *endFault) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if f.on.Load() && cmd.Name() == "scan" {
			return errFault
		}
		return next(ctx, cmd)
	}
}

// What was damaged by hand, or is rendered differently by a new release, has the
// right version and is shown anew all the same.
func TestRebuildRepairs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.relay()
	c := w.commit(t, change{subjects: []string{"a"}, by: 1})
	if err := r.Publish(t.Context(), []Claim{c}); err != nil {
		t.Fatal(err)
	}
	if err := w.redis.Del(t.Context(), views.Key(tenant, "tally", "a"), views.Key(tenant, "tallies")).Err(); err != nil {
		t.Fatal(err)
	}
	if err := r.Restore(t.Context(), Part{}); err != nil {
		t.Fatal(err)
	}
	mustSettle(t, w)
}

// Redis says that it was written by a later epoch: the database takes one that
// is later still.
func TestRebuildWhenRedisIsAhead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.relay()
	mustReconcile(t, r, 1)
	c := w.commit(t, change{subjects: []string{"a"}, by: 1})
	if err := r.Publish(t.Context(), []Claim{c}); err != nil {
		t.Fatal(err)
	}
	e, err := newEpoch(0, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	w.exec(t, `UPDATE millrace.database_epoch SET epoch = $1`, e)
	w.exec(t, `UPDATE tallies SET total = 8`)
	mustReconcile(t, r, 1)
	mustSettle(t, w)
}

// A rebuild of one master of a cluster writes nothing on the others.
func TestOnlyOn(t *testing.T) {
	t.Parallel()
	all := []views.View{views.Hash{Key: "h"}, views.Member{Key: "m"}, views.Bit{Key: "b"}, views.Recent{Key: "r"}}
	if got := onlyOn(nil, all); len(got) != len(all) {
		t.Error(got)
	}
	if got := onlyOn([]views.Master{{}}, all); len(got) != 0 {
		t.Error(got)
	}
}

// TestRebuildNeedsEveryFunction: a relay from before a function was added would
// leave out its views and then say that all are there.
func TestRebuildNeedsEveryFunction(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.relay()
	const newer = `INSERT INTO millrace.entities (tenant_id, function, subject, version) VALUES ('acme', 'newer', 'a', 1)`
	if _, err := w.pool.Exec(t.Context(), newer); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Reconcile(t.Context()); n != 0 || err == nil || !strings.Contains(err.Error(), `"newer"`) {
		t.Errorf("rebuilt %d: %v", n, err)
	}
	if _, err := w.pool.Exec(t.Context(), `DELETE FROM millrace.entities WHERE function = 'newer'`); err != nil {
		t.Fatal(err)
	}
	mustReconcile(t, w.relay(), 1)
}
