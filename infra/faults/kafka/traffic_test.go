package kafka_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/infra/invariants"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/infra/traffic"
	"github.com/millrace/millrace/infra/traffic/produce"
	"github.com/millrace/millrace/shared/event"
)

// executed is a trade of an account, without a sequence.
func executed(tenant, id, account string) *event.Event {
	return &event.Event{
		TenantID: tenant, Source: "/desk", ID: id, Type: "trade.executed.v1", Subject: account, Time: time.Now().UTC(), IsJSON: true,
		Data: []byte(`{"instrument":"AAPL","side":"buy","quantity":"10","price":"12.50","currency":"EUR","fee":"1"}`),
	}
}

// trades are n of a few accounts. The tenant is the test's own.
func trades(t *testing.T, n int) []*event.Event {
	t.Helper()
	all := make([]*event.Event, n)
	for i := range all {
		all[i] = executed(tenant(t), fmt.Sprint("T-", i), fmt.Sprint("account-", i%7))
	}
	return all
}

var tests sync.Map // the number of each

var numbers atomic.Int64

// tenant is the test's, short enough for a tenant.
func tenant(t *testing.T) string {
	t.Helper()
	number, ok := tests.Load(t)
	if !ok {
		number, _ = tests.LoadOrStore(t, numbers.Add(1))
	}
	return fmt.Sprint("tenant-", number)
}

func record(e *event.Event) *kgo.Record {
	return &kgo.Record{
		Topic: topics.Events(e.Function()), Key: []byte(e.Subject), Value: event.AppendJSON(nil, e),
		Headers: []kgo.RecordHeader{{Key: "content-type", Value: []byte("application/cloudevents+json")}},
	}
}

// send puts events into Kafka, which acknowledges them.
func (w *world) send(t *testing.T, all ...*event.Event) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	records := make([]*kgo.Record, len(all))
	for n, e := range all {
		records[n] = record(e)
	}
	results := w.client.ProduceSync(ctx, records...)
	if err := results.FirstErr(); err != nil {
		t.Fatal(err)
	}
	for n, r := range results {
		w.sent = append(w.sent, account(all[n], r.Record))
	}
}

// account is an acknowledged record for the check of invariants.
func account(e *event.Event, r *kgo.Record) invariants.Sent {
	return invariants.Sent{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, TenantID: e.TenantID, Source: e.Source, ID: e.ID,
	}
}

// identity is an acknowledged event, wherever its record is.
func identity(e *event.Event) invariants.Sent {
	return invariants.Sent{TenantID: e.TenantID, Source: e.Source, ID: e.ID}
}

// stream is traffic that goes on while something happens to it: trades with
// sequences, some of them twice or too late, and some poison.
type stream struct {
	w     *world
	acked atomic.Int64
	quit  chan struct{}
	done  chan struct{}

	mu   sync.Mutex
	sent []invariants.Sent
	err  error
	last time.Time     // when a record was acknowledged
	gap  time.Duration // the longest time without one
}

// rate is events a second: enough that every batch and every second counts, and
// little for a machine that runs three brokers.
const rate = 30

// traffic starts a stream; end stops it.
func (w *world) traffic(t *testing.T) *stream {
	t.Helper()
	mix := traffic.Defaults()
	mix.Seed, mix.Start, mix.Rate = w.seed+uint64(numbers.Add(1)), time.Now(), rate
	mix.Tenants, mix.Entities, mix.Sequences = 5, 20, true
	mix.Duplicates, mix.Reorder, mix.Gaps, mix.Poison = 0.05, 0.05, 0.01, 0.01
	if err := mix.Only("trade"); err != nil {
		t.Fatal(err)
	}
	generator, err := traffic.New(mix)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("traffic of MILLRACE_SEED=%d", w.seed)
	s := &stream{w: w, quit: make(chan struct{}), done: make(chan struct{})}
	go s.run(generator)
	return s
}

func (s *stream) run(g *traffic.Generator) {
	defer close(s.done)
	began, ending := time.Now(), false
	var open sync.WaitGroup
	for {
		r, more := g.Next()
		if !more {
			break
		}
		select {
		case <-s.quit:
			if !ending { // what was held back still comes
				ending = true
				g.End()
			}
		default:
			produce.Await(context.Background(), began, r.At)
		}
		open.Add(1)
		s.w.client.Produce(context.Background(), kafkaRecord(r), func(got *kgo.Record, err error) {
			defer open.Done()
			s.acknowledged(r, got, err)
		})
	}
	open.Wait()
}

func (s *stream) acknowledged(r traffic.Record, got *kgo.Record, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.err = err
		return
	}
	now := time.Now()
	if !s.last.IsZero() {
		s.gap = max(s.gap, now.Sub(s.last))
	}
	s.last = now
	sent := account(r.Event, got)
	if r.Kind == traffic.Poison { // it has no identity that counts
		sent.TenantID, sent.Source, sent.ID = "", "", ""
	}
	s.sent = append(s.sent, sent)
	s.acked.Add(1)
}

func kafkaRecord(r traffic.Record) *kgo.Record {
	out := &kgo.Record{Topic: r.Topic, Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, kgo.RecordHeader{Key: h.Name, Value: []byte(h.Value)})
	}
	return out
}

// more waits until Kafka has acknowledged n more records.
func (s *stream) more(t *testing.T, n int64) {
	t.Helper()
	until := s.acked.Load() + n
	stacktest.Eventually(t, patience, fmt.Sprintf("%d more records to be acknowledged", n), func(context.Context) bool { return s.acked.Load() >= until })
}

// end ends the traffic; the world accounts for it.
func (s *stream) end(t *testing.T) {
	t.Helper()
	close(s.quit)
	<-s.done
	if s.err != nil {
		t.Errorf("a record was not acknowledged: %v", s.err)
	}
	s.w.sent = append(s.w.sent, s.sent...)
}
