package outbox

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/views"
)

// A view that Redis refuses, and one that cannot be rendered, keep only their
// own entity in the outbox.
func TestWhatCannotBeShownStaysAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	render := w.fn.Views
	var broken atomic.Bool
	broken.Store(true)
	w.fn.Views = func(e *function.Entity[tally]) []views.View {
		if e.Subject == "panics" && broken.Load() {
			panic("as asked")
		}
		return render(e)
	}
	inTheWay := views.Key(tenant, "tally", "refused")
	if err := w.redis.LPush(t.Context(), inTheWay, "x").Err(); err != nil {
		t.Fatal(err)
	}
	r := w.relay(func(c *RelayConfig) { c.Lease = time.Hour })
	fromMemory := w.commit(t, change{subjects: []string{"refused", "a"}, by: 1, emits: 1})
	if err := r.Publish(t.Context(), []Claim{fromMemory}); err == nil || IsUnreachable(err) {
		t.Fatal(err)
	}
	w.commit(t, change{subjects: []string{"panics", "b", "refused"}, by: 1})
	if n, err := r.Sweep(t.Context(), 0, 10); n != 2 || err == nil || IsUnreachable(err) {
		t.Fatal(n, err)
	}
	if got, want := w.dirty(t), `["refused"] ["panics", "refused"]`; got != want {
		t.Errorf("%s are open, want %s", got, want)
	}
	if _, err := r.Reconcile(t.Context()); err == nil {
		t.Error("a Redis that lacks views counts as rebuilt")
	}

	broken.Store(false)
	if err := w.redis.Del(t.Context(), inTheWay).Err(); err != nil {
		t.Fatal(err)
	}
	w.exec(t, `UPDATE millrace.outbox SET claimed_until = NULL`)
	if _, err := r.Sweep(t.Context(), 0, 10); err != nil {
		t.Fatal(err)
	}
	mustSettle(t, w, fromMemory)
}

// dirty lists the entities that are to be shown anew, row by row.
func (w *world) dirty(t *testing.T) (all string) {
	t.Helper()
	err := w.pool.QueryRow(t.Context(), `SELECT string_agg(jsonb_path_query_array(dirty::jsonb, '$.entities[*].subject')::text, ' ' ORDER BY id)
		FROM millrace.outbox`).Scan(&all)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// However many claims name an entity, it is read and sent once, in snapshots of
// bounded size.
func TestManyClaimsOfFewEntities(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.relay()
	apply := r.apply
	var applied []int
	r.apply = func(ctx context.Context, client redis.UniversalClient, all []views.View, c views.Claim) (views.Result, error) {
		applied = append(applied, len(all))
		return apply(ctx, client, all, c)
	}
	for range 3 {
		w.commit(t, change{subjects: subjects(0, loadItems+9), by: 1})
	}
	if _, err := r.Sweep(t.Context(), 0, 10); err != nil {
		t.Fatal(err)
	}
	// An entity has two views; the aggregate comes last, and has one.
	if got, want := fmt.Sprint(applied), fmt.Sprint([]int{2 * loadItems, 2*9 + 1}); got != want {
		t.Errorf("applied %s views, want %s", got, want)
	}
	mustSettle(t, w)
}

// Known views and aggregates of one epoch go to Redis together.
func TestOneApply(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.relay()
	apply := r.apply
	calls := 0
	r.apply = func(ctx context.Context, client redis.UniversalClient, all []views.View, c views.Claim) (views.Result, error) {
		calls++
		return apply(ctx, client, all, c)
	}
	claims := []Claim{w.commit(t, change{subjects: []string{"a", "b"}, by: 1}), w.commit(t, change{subjects: []string{"b"}, by: 1})}
	if err := r.Publish(t.Context(), claims); err != nil {
		t.Fatal(err)
	}
	if calls != 1 {
		t.Errorf("%d calls", calls)
	}
	mustSettle(t, w, claims...)
}
