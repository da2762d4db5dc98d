package functions_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/millrace/millrace/functions/ledger"
	"github.com/millrace/millrace/functions/position"
	"github.com/millrace/millrace/functions/trade"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function/functiontest"
	"github.com/millrace/millrace/shared/runtime"
	"github.com/millrace/millrace/shared/runtime/scenario"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

// TestTheWholeWay sends random trades through the three functions, on a real
// database. On the way everything is delivered in random batches, some twice,
// and what trade emits in any order. In the end position and journal are those
// of a fold in memory, and each entity is what its audit log says.
func TestTheWholeWay(t *testing.T) {
	t.Parallel()
	database, redis := stacktest.Postgres(t), stacktest.Redis(t)
	limits := runtime.Limits{Drain: 10, Parked: 100_000, DeadLetters: 100_000}
	trades := scenario.New(t, trade.New(), database, redis, limits)
	positions := scenario.New(t, position.New(), database, redis, limits)
	journals := scenario.New(t, ledger.New(), database, redis, limits)
	checks := 0
	rapid.Check(t, func(t *rapid.T) {
		checks++
		subject := fmt.Sprintf("acct {%d}", checks)
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		memory := functiontest.NewFold(trade.New(), subject)
		var events []*event.Event
		for i := range rapid.IntRange(1, 15).Draw(t, "events") {
			e := drawTrade(t, i)
			e.Source, e.Subject, e.Sequence = fmt.Sprintf("/desk/%d", checks), subject, int64(i+1)
			events = append(events, e)
		}
		deliver(t, trades, events, random)
		var emitted []*event.Event
		for _, e := range events {
			fx, _ := memory.Decide(t, e)
			emitted = append(emitted, fx.Emitted...)
		}
		compareEmitted(t, trades, emitted)
		for name, world := range map[string]*scenario.World{"position": positions, "ledger": journals} {
			deliver(t, world, of(name, emitted), random)
			fold := functiontest.NewFold(world.Function(), subject)
			for _, e := range of(name, emitted) {
				fold.Apply(t, e)
			}
			if got, want := world.State(t.Context(), t, functiontest.Tenant, subject), fold.State(t); got != want {
				t.Fatalf("%s has\n%s\nwant\n%s", name, got, want)
			}
		}
	})
	for _, world := range []*scenario.World{trades, positions, journals} {
		world.Verify(t)
	}
}

func of(function string, events []*event.Event) []*event.Event {
	return slices.DeleteFunc(slices.Clone(events), func(e *event.Event) bool { return e.Function() != function })
}

// deliver sends events in random order, a third of them twice, in random
// batches. All have sequences, so the order does not matter.
func deliver(t *rapid.T, world *scenario.World, events []*event.Event, random *rand.Rand) {
	var queue []event.Received
	for _, e := range events {
		received := event.Received{Event: e, Raw: event.AppendJSON(nil, e)}
		for range 1 + random.IntN(3)/2 {
			queue = append(queue, received)
		}
	}
	random.Shuffle(len(queue), func(i, j int) { queue[i], queue[j] = queue[j], queue[i] })
	for len(queue) > 0 {
		n := 1 + random.IntN(len(queue))
		for _, o := range world.Send(t.Context(), t, queue[:n]) {
			if o.Kind == runtime.DeadLettered {
				t.Fatalf("a dead letter: %s %s", o.Reason, o.Detail)
			}
		}
		queue = queue[n:]
	}
	world.Relay(t.Context(), t)
}

// compareEmitted compares what trade emitted with what it should have.
func compareEmitted(t *rapid.T, world *scenario.World, want []*event.Event) {
	got := map[string]string{}
	for _, m := range world.Published(t.Context(), t) {
		e := event.ParseStructured(m.Value).Event
		if m.Topic != "trade-events-dead-letter" { // what the rules refused
			if e.Extensions[event.DecisionExtension] == "" {
				t.Fatalf("%s does not say which decision emitted it", e.ID)
			}
			delete(e.Extensions, event.DecisionExtension) // a fold does not know it
			got[e.ID] = string(event.AppendJSON(nil, e))
		}
	}
	for _, e := range want {
		if text := string(event.AppendJSON(nil, e)); got[e.ID] != text {
			t.Fatalf("emitted\n%s\nwant\n%s", got[e.ID], text)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("emitted %d events, want %d", len(got), len(want))
	}
}
