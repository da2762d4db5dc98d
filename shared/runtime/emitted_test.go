package runtime

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/outbox"
)

// teller emits to the counter x what its entity is told; amounts below zero are
// refused.
func teller() *function.Function[int] {
	nothing := func(*pgx.Batch, []*function.Entity[int]) {}
	return &function.Function[int]{
		Name: "teller",
		Rules: []function.Rule[int]{function.On("teller.told.v1", func(_ *int, _ function.Event, p added, fx *function.Effects) error {
			if p.Amount < 0 {
				return function.Refuse("negative", "%d is below zero", p.Amount)
			}
			fx.Emit("counter.added.v1", "x", p)
			return nil
		})},
		Load: nothing, LoadAll: nothing, Save: nothing,
	}
}

// tell has the teller decide an event, and returns what it emits, as Kafka has it.
func (w *world) tell(t *testing.T, id string, amount int64, at ...time.Time) (emitted []event.Received) {
	t.Helper()
	p := NewProcessor(teller(), w.pool, Limits{Drain: 3, Parked: 100, DeadLetters: 100}, slog.New(slog.DiscardHandler), func(c outbox.Claim) {
		for _, e := range c.Emitted {
			emitted = append(emitted, event.ParseStructured(event.AppendJSON(nil, e)))
		}
	})
	told := add(id, "account {1}/a", 0, amount)
	told.Event.Type = "teller.told.v1"
	if len(at) > 0 {
		told.Event.Time = at[0]
	}
	if _, err := p.Process(t.Context(), []event.Received{told}); err != nil {
		t.Fatal(err)
	}
	return emitted
}

// loseTail has the database forget all that the teller decided.
func (w *world) loseTail(t *testing.T) {
	t.Helper()
	for _, table := range []string{"audit", "seen", "entities"} {
		w.exec(t, `DELETE FROM millrace.`+table+` WHERE function = 'teller'`)
	}
}

// What was emitted by a decision that the database has lost is not decided, also
// when another decision has its version; what is emitted instead is.
func TestEmittedByALostDecision(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lost1, lost2 := w.tell(t, "L1", 1), w.tell(t, "L2", 2)
	w.loseTail(t)
	expect(t, kinds(w.process(t, lost2[0], lost1[0])), "dead dead ")
	expect(t, w.summary(t, "x"), "version=0 dead=counter/x/1:not-emitted,counter/x/2:not-emitted")

	other := w.tell(t, "O", 10)
	expect(t, kinds(w.process(t, lost1[0], other[0])), "dead applied ")
	again1, again2 := w.tell(t, "L1", 1), w.tell(t, "L2", 2)
	expect(t, kinds(w.process(t, again2[0])), "parked ")
	expect(t, kinds(w.process(t, lost2[0], again1[0], again2[0])), "dead applied duplicate ")
	expect(t, kinds(w.process(t, lost1[0], lost2[0], other[0], again1[0], again2[0])), "dead dead duplicate duplicate duplicate ")
	expect(t, w.summary(t, "x"), "total=13 version=3 stream=3+0 audit=counter/x/1:applied,counter/x/2:applied,counter/x/3:applied "+
		"dead=counter/x/1:not-emitted,counter/x/2:not-emitted")
}

// A decision for the same cause takes the version of the lost one, but has others
// before it, and so emits another event.
func TestEmittedByALostDecisionOfTheSameCause(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tell(t, "L1", 1)
	lost := w.tell(t, "L2", 2)
	w.loseTail(t)
	w.tell(t, "R", -1)
	again := w.tell(t, "L2", 2)
	expect(t, kinds(w.process(t, lost[0], again[0])), "dead applied ")
	expect(t, w.summary(t, "x"), "total=2 version=1 stream=1+0 audit=counter/x/1:applied dead=counter/x/2:not-emitted")
}

// What was decided stays so: a repeat is a repeat whatever it says.
func TestEmittedAndDecided(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.tell(t, "A", 1)
	expect(t, kinds(w.process(t, first[0], first[0])), "applied duplicate ")
	expect(t, w.text(t, `SELECT split_part(attributes->>'millracedecision', '-', 1) FROM millrace.audit WHERE subject = 'x'`), "1")
	w.loseTail(t)
	expect(t, kinds(w.process(t, first[0])), "duplicate ")
	again := w.tell(t, "A", 1)
	expect(t, kinds(w.process(t, again[0])), "duplicate ")
	expect(t, w.summary(t, "x"), "total=1 version=1 stream=1+0 audit=counter/x/1:applied")
}

// What an older revision emitted does not say by which decision; a producer's own
// events may say what they like.
func TestEmittedWithoutADecision(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	older, forged := w.tell(t, "A", 1), w.tell(t, "B", 2)
	w.loseTail(t)
	delete(older[0].Event.Extensions, event.DecisionExtension)
	forged[0].Event.Extensions[event.DecisionExtension] = "no decision"
	foreign := add("f", "x", 0, 4)
	foreign.Event.Extensions = map[string]string{event.DecisionExtension: "no decision"}
	expect(t, kinds(w.process(t, older[0], forged[0], foreign)), "applied dead applied ")
	forged[0].Event.Source = "/millrace/%00"
	expect(t, kinds(w.process(t, forged[0])), "dead ")
	expect(t, w.text(t, `SELECT string_agg(DISTINCT reason, ' ') FROM millrace.dead_letters`), "not-emitted")
}

// A redrive does not help what nobody emitted, and settles what was emitted since.
func TestRedriveNotEmitted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lost := w.tell(t, "A", 1)
	w.loseTail(t)
	w.process(t, lost[0])
	w.operator(t, lost[0].Event.ID)
	expect(t, kinds(w.process(t, w.redriven(t, lost[0]))), "dead ")
	expect(t, w.letters(t), "counter/x/1:undecided:not-emitted:open")

	w.process(t, w.tell(t, "A", 1)...)
	w.operator(t, lost[0].Event.ID)
	expect(t, kinds(w.process(t, w.redriven(t, lost[0]))), "duplicate ")
	expect(t, w.letters(t), "counter/x/1:undecided:not-emitted:redriven")
}

// The decision is found whether its month has a partition or not, and of whatever
// months the events of a batch are.
func TestEmittedInAnyMonth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(t, `CREATE TABLE millrace.audit_2026_01 PARTITION OF millrace.audit FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')`)
	var emitted []event.Received
	for n, month := range []time.Month{time.January, time.October, time.March, time.January} {
		emitted = append(emitted, w.tell(t, fmt.Sprint("A", n), 1, time.Date(2026, month, 31, 23, 59, 59, 999_999_000, time.UTC))...)
	}
	expect(t, w.text(t, `SELECT string_agg(relname, ' ' ORDER BY version) FROM millrace.audit AS a JOIN pg_class AS c ON c.oid = a.tableoid`),
		"audit_2026_01 audit_default_0 audit_default_0 audit_2026_01")
	expect(t, kinds(w.process(t, emitted...)), "applied applied applied applied ")
}
