package faults

import (
	"testing"
	"time"

	"github.com/millrace/millrace/infra/faults/proxy"
)

// steps are those between an event's way in and its answer, each with the message
// by which the process takes it, and whether the step before had committed.
var steps = []struct {
	name, asks, answers string
	of                  func(w *world) *proxy.Proxy
	committed           bool
}{
	{"take the request", "POST", " 202 ", func(w *world) *proxy.Proxy { return w.functions["trade"].door }, false},
	{"lock and read", "FOR UPDATE", "FOR UPDATE", onPostgres, false},
	{"commit", "COMMIT", "COMMIT", onPostgres, false},
	{"show in Redis", "evalsha", "evalsha", func(w *world) *proxy.Proxy { return w.redis }, true},
	{"delete the outbox row", "DELETE FROM millrace.outbox", "DELETE FROM millrace.outbox", onPostgres, true},
}

func onPostgres(w *world) *proxy.Proxy { return w.postgres }

// TestKilledBetweenSteps kills a function's process with SIGKILL at each step:
// before it has effect, and after it, when the process has not heard of it. What
// was sent is sent once more; a new process takes over. All is as if nothing had
// happened.
func TestKilledBetweenSteps(t *testing.T) {
	t.Parallel()
	for _, step := range steps {
		t.Run(step.name+", failed", func(t *testing.T) {
			t.Parallel()
			killedAt(t, step.of, step.asks, proxy.Request, step.committed)
		})
		t.Run(step.name+", took effect", func(t *testing.T) {
			t.Parallel()
			committed := step.committed || step.name == "commit" || step.name == "take the request"
			killedAt(t, step.of, step.answers, proxy.Reply, committed)
		})
	}
}

func killedAt(t *testing.T, of func(*world) *proxy.Proxy, text string, when proxy.Point, committed bool) {
	t.Helper()
	w := newWorld(t, stores{}, "trade", "position", "ledger")
	w.functions["trade"].process.kill(t)
	w.start(t, "trade", "SHARDS=1") // else another transaction may be further than the one that is held
	moment := of(w).At(text, when)
	events := some(20, "T", executed)
	w.send(t, events...)
	reached(t, moment)
	w.functions["trade"].process.kill(t)
	moment.Cut()
	if n := w.count(t, `SELECT count(*) FROM millrace.seen WHERE source = '/desk'`); (n > 0) != committed {
		t.Errorf("%d events were decided", n)
	}
	w.startRelay(t)
	w.start(t, "trade")
	w.send(t, events[:7]...)
	w.holds(t)
}

// reached waits for a moment.
func reached(t *testing.T, m *proxy.Moment) {
	t.Helper()
	select {
	case <-m.Reached:
	case <-time.After(time.Minute):
		t.Fatal("the moment did not come")
	}
}
