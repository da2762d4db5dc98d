package outbox

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"context"

	"github.com/redis/go-redis/v9"

	"github.com/millrace/millrace/shared/views"
)

func TestNewEpochIsLater(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, old := range []int64{0, now.UnixMilli() - 1, now.UnixMilli(), now.Add(time.Hour).UnixMilli()} {
		e, err := newEpoch(old, now)
		if err != nil || e.number() <= old || e.number() > max(old+1, now.UnixMilli()) || e.number() > views.MaxVersion {
			t.Errorf("after %d: %d, %v", old, e.number(), err)
		}
	}
	if n := (epoch{}).number(); n != 0 {
		t.Error(n)
	}
}

// A new timeline begins a new epoch, once, however many processes see it.
func TestEpochFollowsTheTimeline(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, err := Epoch(t.Context(), w.pool)
	if err != nil || first < time.Now().Add(-time.Hour).UnixMilli() {
		t.Fatal(first, err)
	}
	if again, err := Epoch(t.Context(), w.pool); err != nil || again != first {
		t.Fatal(again, err)
	}
	w.failOver(t)
	var got [8]int64
	var all sync.WaitGroup
	for n := range got {
		all.Go(func() {
			var err error
			if got[n], err = Epoch(t.Context(), w.pool); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, n := range got {
		if n <= first || n != got[0] {
			t.Fatal(first, got)
		}
	}
}

// failOver makes the database look as if it was on another timeline before.
func (w *world) failOver(t *testing.T) {
	t.Helper()
	w.exec(t, `UPDATE millrace.database_epoch SET timeline_id = timeline_id + 1000`)
}

// Where the timeline is not to be had the epoch stays, and that is said once.
func TestNoTimeline(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	role := pgx.Identifier{fmt.Sprintf("reader_%d", time.Now().UnixNano())}.Sanitize()
	w.exec(t, `CREATE ROLE `+role)
	t.Cleanup(func() {
		if _, err := w.pool.Exec(context.Background(), `DROP OWNED BY `+role+`; DROP ROLE `+role); err != nil {
			t.Error(err)
		}
	})
	w.exec(t, `GRANT USAGE ON SCHEMA millrace TO `+role)
	w.exec(t, `GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA millrace TO `+role)
	w.exec(t, `REVOKE EXECUTE ON FUNCTION pg_walfile_name FROM PUBLIC`)
	pool := w.newPool(t, func(cfg *pgxpool.Config) {
		cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, `SET ROLE `+role)
			return err
		}
	})
	want, err := Epoch(t.Context(), w.pool)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Epoch(t.Context(), pool)
	if !errors.Is(err, ErrNoTimeline) || got != want {
		t.Fatal(got, err)
	}
	r := w.relay(func(c *RelayConfig) { c.Pool = pool })
	for range 3 {
		if _, err := r.Reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.logged(t, "will go unnoticed", 1)
}

func TestRenewEpoch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, err := Epoch(t.Context(), w.pool)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := RenewEpoch(t.Context(), w.pool, first-1); err != nil || n != first {
		t.Error(n, err)
	}
	if n, err := RenewEpoch(t.Context(), w.pool, first+1e9); err != nil || n != first+1e9+1 {
		t.Error(n, err)
	}
}

// While a relay shows a claim the database fails over and a new epoch begins.
// What the relay showed counts no more, so its row must stay.
func TestEpochBeginsWhileViewsAreShown(t *testing.T) {
	t.Parallel()
	for _, fromMemory := range []bool{true, false} {
		w := newWorld(t)
		other := w.relay()
		if _, err := other.Reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
		r := w.relay(func(c *RelayConfig) { c.Lease = time.Nanosecond })
		apply, once := r.apply, sync.Once{}
		r.apply = func(ctx context.Context, client redis.UniversalClient, all []views.View, c views.Claim) (views.Result, error) {
			once.Do(func() {
				w.failOver(t)
				if _, err := Epoch(ctx, w.pool); err != nil {
					t.Error(err)
				}
			})
			return apply(ctx, client, all, c)
		}
		c := w.commit(t, change{subjects: []string{"a"}, by: 1, emits: 1})
		if fromMemory {
			if err := r.Publish(t.Context(), []Claim{c}); err != nil {
				t.Fatal(err)
			}
		} else if _, err := r.Sweep(t.Context(), 0, 10); err != nil {
			t.Fatal(err)
		}
		var n int
		if err := w.pool.QueryRow(t.Context(), `SELECT count(*) FROM millrace.outbox`).Scan(&n); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		if _, err := r.Sweep(t.Context(), 0, 10); err != nil {
			t.Fatal(err)
		}
		if n, err := r.Reconcile(t.Context()); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		mustSettle(t, w, c)
	}
}
