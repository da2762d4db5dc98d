package faults

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/infra/faults/proxy"
	"github.com/millrace/millrace/infra/invariants"
	"github.com/millrace/millrace/infra/stack"
	"github.com/millrace/millrace/infra/stack/stacktest"
	gateway "github.com/millrace/millrace/triggers/http"
)

// stock is a world in which Knative's dispatcher brings trades.
func stock(t *testing.T, d *dispatcher) *world {
	t.Helper()
	w := newWorld(t, stores{}, "trade", "position", "ledger")
	w.startRelay(t)
	w.startDispatcher(t, "trade", d)
	return w
}

// TestStockDispatcher: the function is killed when it has committed and nobody
// knows, PostgreSQL's answers are lost and its connections cut. Knative sends
// again, in order or not, and nothing is doubled or lost.
func TestStockDispatcher(t *testing.T) {
	t.Parallel()
	for _, ordered := range []bool{true, false} {
		t.Run(fmt.Sprint("ordered ", ordered), func(t *testing.T) {
			t.Parallel()
			d := &dispatcher{ordered: ordered, retries: 12, backoff: 10 * time.Millisecond}
			w := stock(t, d)
			moment := w.postgres.At("COMMIT", proxy.Reply)
			w.send(t, some(20, "killed", executed)...)
			reached(t, moment)
			w.functions["trade"].process.kill(t)
			moment.Cut()
			w.start(t, "trade")
			w.decided(t, "trade", 20)
			lost := dropEach(w.postgres, "COMMIT", 3)
			for n := range 5 {
				w.send(t, some(10, fmt.Sprint("cut-", n), executed)...)
				w.decided(t, "trade", 20+10*n+5)
				w.postgres.Cut()
			}
			w.sendRaw(t, "trade", "no CloudEvent")
			w.holds(t)
			if n := w.count(t, `SELECT count(*) FROM millrace.dead_letters`); n != 1 {
				t.Errorf("%d dead letters, want that of the record which is no CloudEvent", n)
			}
			if len(d.refused) == 0 || lost.Load() == 0 {
				t.Error("nothing was sent again: the test tests nothing")
			}
			if len(d.buried)+len(d.dropped) > 0 {
				t.Errorf("given up: %q, %q", d.buried, d.dropped)
			}
		})
	}
}

// TestStockDispatcherMeetsOutages: the function is told to stop, PostgreSQL is
// killed, PostgreSQL is slow, Redis is out of reach and emptied. Knative sends again
// until they are over.
func TestStockDispatcherMeetsOutages(t *testing.T) {
	t.Parallel()
	heavy(t)
	for _, ordered := range []bool{true, false} {
		t.Run(fmt.Sprint("ordered ", ordered), func(t *testing.T) {
			t.Parallel()
			server := stacktest.PostgresServer(t)
			d := &dispatcher{ordered: ordered, retries: 12, backoff: 10 * time.Millisecond}
			w := newWorld(t, stores{databaseURL: server.URL}, "trade", "position", "ledger")
			w.startRelay(t)
			w.startDispatcher(t, "trade", d)
			for n, outage := range []struct{ begin, end func() }{
				{func() { w.functions["trade"].process.signal(t, syscall.SIGTERM) }, func() {
					<-w.functions["trade"].process.ended
					w.start(t, "trade")
				}},
				{func() { server.Kill(t) }, func() { server.Start(t) }},
				{func() { w.postgres.SetDelay(20 * time.Millisecond) }, func() { w.postgres.SetDelay(0) }},
				{func() { w.redis.SetDown(true) }, func() {
					if err := w.deps.Redis.FlushAll(t.Context()).Err(); err != nil {
						t.Error(err)
					}
					w.redis.SetDown(false)
				}},
			} {
				w.send(t, some(20, fmt.Sprint("before-", n), executed)...)
				w.decided(t, "trade", 40*n+5)
				outage.begin()
				w.send(t, some(20, fmt.Sprint("while-", n), executed)...)
				outage.end()
				w.decided(t, "trade", 40*n+40)
			}
			w.holds(t)
			if len(d.refused) == 0 {
				t.Error("nothing was sent again: the test tests nothing")
			}
			if len(d.buried)+len(d.dropped) > 0 {
				t.Errorf("given up: %q, %q", d.buried, d.dropped)
			}
		})
	}
}

// TestStockDispatcherGivesUp: the function is down for longer than Knative tries.
// What it gives up is in the dead-letter topic; with triggers/http for a
// dead-letter sink it is in the function's topic again, and decided later.
func TestStockDispatcherGivesUp(t *testing.T) {
	t.Parallel()
	for _, sink := range []string{"dead-letter topic", "triggers/http"} {
		t.Run(sink, func(t *testing.T) {
			t.Parallel()
			d := &dispatcher{ordered: true, retries: 2, backoff: 5 * time.Millisecond, deadLetterTopic: "trade-events-dead-letter"}
			w := stock(t, d)
			if sink == "triggers/http" {
				d.deadLetterTopic, d.deadLetterSink = "", w.startGateway(t)
			}
			w.functions["trade"].process.kill(t)
			w.send(t, some(10, "down", executed)...)
			stacktest.Eventually(t, time.Minute, "what is given up", func(context.Context) bool { return len(d.given(&d.buried)) >= 10 })
			w.start(t, "trade")
			w.send(t, some(10, "up", executed)...)
			if sink == "dead-letter topic" {
				w.decided(t, "trade", 10)
				w.forget(d.given(&d.buried))
			} else {
				w.decided(t, "trade", 20)
			}
			w.holds(t)
			if len(d.dropped) > 0 {
				t.Errorf("lost: %q", d.dropped)
			}
		})
	}
}

// TestStockDispatcherLoses: there is no dead-letter sink either. The offsets are
// committed all the same: just these events are lost, and the check of invariants
// names them. Set back, the offsets bring them again, and only they change anything.
func TestStockDispatcherLoses(t *testing.T) {
	t.Parallel()
	d := &dispatcher{ordered: true, retries: 1, backoff: time.Millisecond}
	w := stock(t, d)
	w.functions["trade"].process.kill(t)
	w.send(t, some(10, "down", executed)...)
	stacktest.Eventually(t, time.Minute, "what is lost", func(context.Context) bool { return len(d.given(&d.dropped)) == 10 })
	w.start(t, "trade")
	w.send(t, some(10, "up", executed)...)
	w.decided(t, "trade", 10)
	w.loses(t, 10)
	for _, m := range w.functions {
		m.stopTrigger()
	}
	w.setBackOffsets(t)
	for name := range w.functions {
		w.startTrigger(t, name)
	}
	w.decided(t, "trade", 20)
	w.holds(t)
}

// given returns a list of the dispatcher as it is by now.
func (d *dispatcher) given(list *[]string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(*list)
}

// loses checks that just so many records had no effect.
func (w *world) loses(t *testing.T, want int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := invariants.Settle(ctx, w.deps); err != nil {
		t.Fatal(err)
	}
	report, err := invariants.Check(ctx, w.deps)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Broken) != 1 || report.Broken[0].Invariant != "I6" || report.Broken[0].Count != want {
		t.Errorf("want %d records without an effect, and nothing else:\n%s", want, report.String())
	}
}

// forget leaves of events that were sent only where they are in Kafka.
func (w *world) forget(ids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n := range w.sent {
		if slices.Contains(ids, w.sent[n].ID) {
			w.sent[n].ID = ""
		}
	}
}

// sendRaw puts a record into the topic of a function.
func (w *world) sendRaw(t *testing.T, function, value string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.deps.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: function + "-events", Value: []byte(value)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// startGateway starts triggers/http, and returns where it takes a Broker's events.
func (w *world) startGateway(t *testing.T) string {
	t.Helper()
	var addresses [2]string
	for n := range addresses {
		port, err := stack.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		addresses[n] = fmt.Sprint("127.0.0.1:", port)
	}
	config, err := env.ParseAsWithOptions[gateway.Config](env.Options{Environment: map[string]string{
		"KAFKA_BROKERS": w.brokers, "LISTEN_ADDRESS": addresses[0], "SUBSCRIBER_ADDRESS": addresses[1],
	}})
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w.running.Go(func() {
		if err := g.Run(w.end); err != nil {
			t.Errorf("triggers/http: %v", err)
		}
	})
	return "http://" + addresses[1]
}
