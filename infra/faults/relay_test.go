package faults

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/millrace/millrace/infra/faults/proxy"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/views"
)

// relaySteps are those of a sweep, each with the message by which the relay takes
// it, and how one sees that it had effect.
var relaySteps = []struct {
	name, text string
	of         func(w *world) *proxy.Proxy
	done       func(ctx context.Context, w *world) (int64, error)
}{
	{"lease the row", "SET claimed_until", sweepsPostgres, func(ctx context.Context, w *world) (n int64, err error) {
		err = w.deps.Pool.QueryRow(ctx, `SELECT count(*) FROM millrace.outbox WHERE function = 'trade' AND claimed_until IS NOT NULL`).Scan(&n)
		return n, err
	}},
	{"show in Redis", "evalsha", func(w *world) *proxy.Proxy { return w.relay.redis }, func(ctx context.Context, w *world) (int64, error) {
		return w.deps.Redis.Exists(ctx, views.Key("acme", "trades", left)).Result()
	}},
	{"delete the row", "DELETE FROM millrace.outbox", sweepsPostgres, func(ctx context.Context, w *world) (n int64, err error) {
		err = w.deps.Pool.QueryRow(ctx, `SELECT 1 - count(*) FROM millrace.outbox WHERE function = 'trade'`).Scan(&n)
		return n, err
	}},
}

func sweepsPostgres(w *world) *proxy.Proxy { return w.relay.postgres }

// TestRelayKilledBetweenSteps kills the relay with SIGKILL at each step of its
// sweep: before the step has effect, and after it, when the relay has not heard of
// it. A new relay tells what is left, and all is as if nothing had happened.
func TestRelayKilledBetweenSteps(t *testing.T) {
	t.Parallel()
	for _, step := range relaySteps {
		for when, name := range map[proxy.Point]string{proxy.Request: "failed", proxy.Reply: "took effect"} {
			t.Run(step.name+", "+name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, stores{}, "trade", "position", "ledger")
				events := w.leaveRow(t)
				moment := step.of(w).At(step.text, when)
				killed := w.startRelay(t)
				reached(t, moment)
				killed.kill(t)
				moment.Cut()
				if when == proxy.Reply {
					stacktest.Eventually(t, time.Minute, "the step to have effect", func(ctx context.Context) bool {
						n, err := step.done(ctx, w)
						return err == nil && n == 1
					})
				} else if n, err := step.done(t.Context(), w); n != 0 || err != nil {
					t.Errorf("the step had effect: %d, %v", n, err)
				}
				w.startRelay(t)
				w.start(t, "trade")
				w.send(t, events[:7]...)
				w.holds(t)
			})
		}
	}
}

// left is the account of the trades that are left to the relay.
const left = "left"

// leaveRow leaves one row in the outbox, of which nothing is told: it commits, and
// its function is killed before it hears of that. Redis is of the database's epoch
// already, so that a relay has nothing to rebuild. It returns what was sent.
func (w *world) leaveRow(t *testing.T) []*event.Event {
	t.Helper()
	first := w.startRelay(t)
	w.functions["trade"].process.kill(t)
	w.start(t, "trade", "SHARDS=1") // else there is another transaction, and its row
	w.send(t, some(5, "before", executed)...)
	w.holds(t)
	first.kill(t)
	moment := w.postgres.At("COMMIT", proxy.Reply)
	events := make([]*event.Event, 20)
	for n := range events {
		events[n] = executed(fmt.Sprint(left, "-", n), left)
	}
	w.send(t, events...)
	reached(t, moment)
	w.functions["trade"].process.kill(t)
	moment.Cut()
	if n := w.count(t, `SELECT count(*) FROM millrace.outbox WHERE function = 'trade' AND claimed_until IS NULL`); n != 1 {
		t.Fatalf("%d rows are left, want 1", n)
	}
	return events
}
