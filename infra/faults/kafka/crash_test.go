package kafka_test

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/infra/stack/stacktest"
)

// The numbers are those of the arrows in the table of triggers/doc.go. Each step
// is cut off once before it has effect and once after, where nobody has heard of
// it. Arrows 4, 7 and 8 are PostgreSQL's and Redis's: package faults has them.

// 2, and 3 failed: records were read, some are on their way to the function, and
// it has none of them.
func TestArrow2And3KilledBeforeTheFunctionHasIt(t *testing.T) {
	w := theWorld(t)
	g := w.newGate(t, arriving)
	first := w.trigger(t, g, "MAX_IN_FLIGHT=1", "BATCH_MAX_EVENTS=1")
	w.send(t, trades(t, 50)...)
	stacktest.Eventually(t, patience, "all to be read", func(ctx context.Context) bool { return first.metric(ctx, "millrace_trigger_window_events") == 50 })
	first.Kill()
	g.release(arriving)
	if n := w.decided(t.Context(), t); n != 0 {
		t.Errorf("%d events were decided", n)
	}
	w.trigger(t, g)
	w.holds(t)
}

// 3 took effect, and 5 failed: the function has decided, and the trigger does not
// hear of it.
func TestArrow3And5KilledBeforeTheAnswer(t *testing.T) {
	w := theWorld(t)
	g := w.newGate(t, answered)
	first := w.trigger(t, g)
	before := w.mustCommitted(t)
	w.send(t, trades(t, 50)...)
	g.await(t, answered)
	first.Kill()
	g.release(answered)
	if n := w.decided(t.Context(), t); n == 0 {
		t.Error("no event was decided")
	}
	unmoved(t, before, w.mustCommitted(t))
	w.trigger(t, g)
	w.holds(t)
}

// 5 took effect, and 6 failed: all is marked, and the mark is not committed.
func TestArrow5And6KilledBeforeTheCommitOfOffsets(t *testing.T) {
	w := theWorld(t)
	g := w.newGate(t)
	first := w.trigger(t, g, "COMMIT_INTERVAL=1h")
	before := w.mustCommitted(t)
	w.send(t, trades(t, 50)...)
	stacktest.Eventually(t, patience, "all to be marked", func(ctx context.Context) bool {
		return first.metric(ctx, "millrace_trigger_events_delivered_total") == 50 && first.metric(ctx, "millrace_trigger_window_events") == 0
	})
	first.Kill()
	unmoved(t, before, w.mustCommitted(t))
	w.trigger(t, g)
	w.holds(t)
	if n := g.passed.Load(); n != 100 {
		t.Errorf("%d events were posted, want 50 twice", n)
	}
}

// 6 took effect: what is committed does not come again.
func TestArrow6KilledAfterTheCommitOfOffsets(t *testing.T) {
	w := theWorld(t)
	g := w.newGate(t)
	first := w.trigger(t, g)
	w.send(t, trades(t, 50)...)
	w.taken(t)
	first.Kill()
	w.trigger(t, g)
	w.send(t, executed(tenant(t), "one more", "account-1"))
	w.holds(t)
	if n := g.passed.Load(); n != 51 {
		t.Errorf("%d events were posted, want 51", n)
	}
}

// 6 failed, of a dead letter: it is in the dead-letter topic twice.
func TestArrow6KilledAfterADeadLetter(t *testing.T) {
	w := theWorld(t)
	g := w.newGate(t)
	first := w.trigger(t, g, "COMMIT_INTERVAL=1h")
	at := w.sendRaw(t, &kgo.Record{Topic: events, Value: []byte("no event")})
	stacktest.Eventually(t, patience, "the dead letter", func(ctx context.Context) bool { return first.metric(ctx, "millrace_trigger_dead_letters_total") == 1 })
	first.Kill()
	w.trigger(t, g)
	w.holds(t)
	if n := w.letters(t, at); n != 2 {
		t.Errorf("%d dead letters, want it twice", n)
	}
}

func unmoved(t *testing.T, before, after map[int32]int64) {
	t.Helper()
	for partition, offset := range after {
		if offset > before[partition] && offset > 0 {
			t.Errorf("partition %d was committed to %d, before it was %d", partition, offset, before[partition])
		}
	}
}
