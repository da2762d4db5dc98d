package position

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/function/functiontest"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

func connect(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), stacktest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return conn
}

// TestPartialLoadsEqualTheWholeFold decides histories in random batches, each
// of which loads only what it needs, and compares with the fold in memory.
func TestPartialLoadsEqualTheWholeFold(t *testing.T) {
	t.Parallel()
	conn := connect(t)
	checks := 0
	rapid.Check(t, func(t *rapid.T) {
		checks++
		subject := fmt.Sprintf("account {%d}'; --", checks)
		store, fold := functiontest.NewStore(New(), conn), functiontest.NewFold(New(), subject)
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

// TestSecondLoad: the runtime loads twice for an entity if parked events join
// the batch.
func TestSecondLoad(t *testing.T) {
	t.Parallel()
	conn := connect(t)
	store, fold := functiontest.NewStore(New(), conn), functiontest.NewFold(New(), account)
	history := []struct{ id, quantity string }{{"1", "1"}, {"2", "2"}, {"3", "4"}, {"4", "8"}, {"5", "16"}}
	for _, h := range history {
		e := booked(h.id, "A", "buy", h.quantity, "1", "USD")
		store.Batch(t.Context(), t, []*event.Event{e})
		fold.Apply(t, e)
	}
	entity := &function.Entity[Account]{Head: function.Head{TenantID: functiontest.Tenant, Subject: account, Version: 5}}
	for _, fill := range []string{"4", "3", "5"} {
		e := cancelled("x"+fill, fill)
		entity.Pending = []function.Pending{{Event: e, Payload: FillCancelledV1{Fill: fill}}}
		b := &pgx.Batch{}
		load(b, []*function.Entity[Account]{entity})
		if err := conn.SendBatch(t.Context(), b).Close(); err != nil {
			t.Fatal(err)
		}
	}
	p := entity.State.Positions["A"]
	if len(p.Fills) != 3 || p.before.Quantity.String() != "3" {
		t.Fatalf("%d fills, before them %s", len(p.Fills), p.before.Quantity)
	}
	for _, fill := range []string{"4", "3", "5"} {
		e := cancelled("x"+fill, fill)
		if _, err := New().Decide(entity, e, FillCancelledV1{Fill: fill}); err != nil {
			t.Fatal(err)
		}
		fold.Apply(t, e)
	}
	if got, want := p.Holding, stateOf(t, fold).Positions["A"].Holding; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the holding is %s, want %s", got, want)
	}
}

// TestTooDeepIsNotLoaded: of a fill too deep down only its own row is read, and
// the refusal is that of the fold in memory.
func TestTooDeepIsNotLoaded(t *testing.T) {
	t.Parallel()
	store := functiontest.NewStore(New(), connect(t))
	events := make([]*event.Event, maxDepth+1)
	for n := range events {
		events[n] = booked(fmt.Sprint(n), "A", "buy", "1", "1", "USD")
	}
	store.Batch(t.Context(), t, events)
	// The second is within reach when it is loaded, and not any more when it is
	// decided.
	got := store.Batch(t.Context(), t, []*event.Event{
		cancelled("a", "0"), booked("b", "A", "buy", "1", "1", "USD"), cancelled("c", "1"),
	})
	if fmt.Sprintf("%q", got) != `["fill-too-old" "" "fill-too-old"]` {
		t.Errorf("refused with %q", got)
	}
}
