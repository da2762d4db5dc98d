package position

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/function/functiontest"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

func TestPartialLoadsEqualTheWholeFold(t *testing.T) {
	t.Parallel()
	functiontest.PartialLoads(t, New(), stacktest.Postgres(t), history)
}

// TestSecondLoad: the runtime loads twice for an entity if parked events join
// the batch.
func TestSecondLoad(t *testing.T) {
	t.Parallel()
	conn := functiontest.Connect(t, stacktest.Postgres(t))
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
	store := functiontest.NewStore(New(), functiontest.Connect(t, stacktest.Postgres(t)))
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
	// Sent again after the horizon of deduplication it is another fill, and the one
	// that is meant then.
	again := []*event.Event{booked("0", "A", "buy", "1", "1", "USD")}
	store.Batch(t.Context(), t, again)
	if got := store.Batch(t.Context(), t, []*event.Event{cancelled("d", "0")}); got[0] != "" {
		t.Errorf("the newer fill is refused with %q", got[0])
	}
}
