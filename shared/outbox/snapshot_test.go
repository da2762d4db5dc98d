package outbox

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/views"
)

// What is read afresh is of one snapshot: else views could be shown under a
// version that they are not of.
func TestOneSnapshot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const gate = 4711
	load := w.fn.LoadViews
	w.fn.LoadViews = func(b *pgx.Batch, entities []*function.Entity[tally]) {
		b.Queue(`SELECT pg_advisory_xact_lock($1)`, gate) // after the version, before the total
		load(b, entities)
	}
	r := w.relay()
	apply := r.apply
	var got []views.View
	r.apply = func(ctx context.Context, client redis.UniversalClient, all []views.View, c views.Claim) (views.Result, error) {
		got = append(got, all...)
		return apply(ctx, client, all, c)
	}
	w.commit(t, change{subjects: []string{"a"}, by: 1})

	held, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := held.Exec(t.Context(), `SELECT pg_advisory_xact_lock($1)`, gate); err != nil {
		t.Fatal(err)
	}
	swept := make(chan error, 1)
	go func() {
		_, err := r.Sweep(t.Context(), 0, 10)
		swept <- err
	}()
	for waiting := 0; waiting == 0; {
		const count = `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
		if err := w.pool.QueryRow(t.Context(), count).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	later := w.commit(t, change{subjects: []string{"a"}, by: 1})
	if err := held.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-swept; err != nil {
		t.Fatal(err)
	}
	for _, v := range got {
		if h, ok := v.(views.Hash); ok && (h.Version != 1 || h.Fields["total"] != "1") {
			t.Errorf("showed %v", h)
		}
	}
	if err := r.Publish(t.Context(), []Claim{later}); err != nil {
		t.Fatal(err)
	}
	mustSettle(t, w)
}
