package functiontest

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
)

// Connect connects to a database until the test ends.
func Connect(t *testing.T, databaseURL string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// PartialLoads decides random histories of one entity in random batches, each
// of which loads only what it needs, on a migrated database. What comes of it
// must be what folding the same events in memory gives.
func PartialLoads(t *testing.T, fn function.Definition, databaseURL string, history func(*rapid.T) []*event.Event) {
	t.Helper()
	conn := Connect(t, databaseURL)
	checks := 0
	rapid.Check(t, func(t *rapid.T) {
		checks++
		subject := fmt.Sprintf("entity {%d}'; --", checks)
		store, fold := NewStore(fn, conn), NewFold(fn, subject)
		events := history(t)
		for _, e := range events {
			e.Subject = subject
		}
		for len(events) > 0 {
			n := rapid.IntRange(1, len(events)).Draw(t, "batch")
			refusals := store.Batch(t.Context(), t, events[:n])
			for i, e := range events[:n] {
				if _, want := fold.Decide(t, e); refusals[i] != want {
					t.Fatalf("%s %s: refused with %q, want %q", e.Type, e.Data, refusals[i], want)
				}
			}
			events = events[n:]
		}
		if got, want := store.State(t.Context(), t, subject), fold.State(t); got != want {
			t.Fatalf("the database has\n%s\nthe fold\n%s", got, want)
		}
	})
}
