package kafka_test

import (
	"context"
	"syscall"
	"testing"

	"github.com/millrace/millrace/infra/stack/stacktest"
)

// A second trigger joins while the function works on the first one's requests:
// they are answered within the grace time, or cut off and posted again by the
// partitions' next owner.
func TestRebalanceInMidBatch(t *testing.T) {
	for name, answeredInTime := range map[string]bool{"answered in time": true, "cut off": false} {
		t.Run(name, func(t *testing.T) {
			w := theWorld(t)
			g := w.newGate(t, answered)
			w.trigger(t, g)
			w.send(t, trades(t, 200)...)
			g.await(t, answered)
			second := w.launch(t, g)
			if answeredInTime {
				stacktest.Eventually(t, patience, "the rebalance", func(ctx context.Context) bool { return w.members(ctx) == -1 })
				g.release(answered)
			}
			second.await(t)
			// It is a member at once, and gets partitions when the first gives them up:
			// then it reads what was not marked.
			if !answeredInTime {
				stacktest.Eventually(t, patience, "partitions to move", func(ctx context.Context) bool {
					return second.metric(ctx, "millrace_trigger_records_read_total") > 0
				})
				g.release(answered)
			}
			w.holds(t)
			if again := g.passed.Load() > 200; again == answeredInTime {
				t.Errorf("%d events were posted, there are 200", g.passed.Load())
			}
		})
	}
}

// Triggers come and go under traffic, some with a good-bye and some without.
func TestTriggersComeAndGo(t *testing.T) {
	w := theWorld(t)
	g := w.newGate(t)
	w.trigger(t, g)
	s := w.traffic(t)
	for n := range 4 {
		another := w.trigger(t, g)
		s.more(t, rate)
		if n%2 == 0 {
			another.stop(t)
		} else {
			another.Kill()
		}
		s.more(t, rate/3)
	}
	s.end(t)
	w.holds(t)
}

// A trigger stands still in mid-batch, is thrown out of the group, and another
// takes its partitions. When it goes on it hears the answers to its requests; but
// what it marks by them is not committed: the group knows its generation as over.
func TestPausedTriggerGoesOn(t *testing.T) {
	w := theWorld(t)
	g := w.newGate(t, answered)
	paused := w.trigger(t, g)
	w.send(t, trades(t, 200)...)
	g.await(t, answered)
	paused.signal(t, syscall.SIGSTOP)
	w.trigger(t, w.newGate(t)) // joins when the paused one is missed
	s := w.traffic(t)
	s.more(t, rate)
	s.end(t)
	w.taken(t)
	before := w.mustCommitted(t)

	g.release(answered)
	paused.signal(t, syscall.SIGCONT)
	stacktest.Eventually(t, patience, "both in the group", func(ctx context.Context) bool { return w.members(ctx) == 2 })
	for partition, offset := range w.mustCommitted(t) {
		if offset != before[partition] {
			t.Errorf("partition %d was committed to %d, now to %d", partition, before[partition], offset)
		}
	}
	s = w.traffic(t)
	s.more(t, rate)
	s.end(t)
	w.holds(t)
}
