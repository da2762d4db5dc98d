package faults

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/infra/invariants"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/shared/event"
)

// now is when the events of the tests happened.
var now = time.Now().UTC().Truncate(time.Second)

// newEvent makes an event without a sequence.
func newEvent(eventType, id, subject, data string) *event.Event {
	return &event.Event{
		TenantID: "acme", Source: "/desk", ID: id, Type: eventType, Subject: subject, Time: now, IsJSON: true, Data: []byte(data),
	}
}

// executed is a trade of an account.
func executed(id, account string) *event.Event {
	return newEvent("trade.executed.v1", id, account,
		`{"instrument":"AAPL","side":"buy","quantity":"10","price":"12.50","currency":"EUR","fee":"1"}`)
}

// posted is an entry in a journal.
func posted(id, journal string) *event.Event {
	return newEvent("ledger.posted.v1", id, journal, fmt.Sprintf(
		`{"postings":[{"account":"house","currency":"EUR","amount":"5"},{"account":%q,"currency":"EUR","amount":"-5"}]}`, journal))
}

// some makes n events about a few entities.
func some(n int, prefix string, one func(id, subject string) *event.Event) []*event.Event {
	events := make([]*event.Event, n)
	for i := range events {
		events[i] = one(fmt.Sprint(prefix, "-", i), fmt.Sprint("entity-", i%5))
	}
	return events
}

// send puts events into Kafka, which acknowledges them.
func (w *world) send(t *testing.T, events ...*event.Event) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.deps.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	records := make([]*kgo.Record, len(events))
	for n, e := range events {
		records[n] = &kgo.Record{
			Topic: topics.Events(e.Function()), Key: []byte(e.Subject), Value: event.AppendJSON(nil, e),
			Headers: []kgo.RecordHeader{{Key: "content-type", Value: []byte("application/cloudevents+json")}},
		}
	}
	results := client.ProduceSync(t.Context(), records...)
	if err := results.FirstErr(); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for n, r := range results {
		w.sent = append(w.sent, invariants.Sent{
			Topic: r.Record.Topic, Partition: r.Record.Partition, Offset: r.Record.Offset,
			TenantID: events[n].TenantID, Source: events[n].Source, ID: events[n].ID,
		})
	}
}

// settle waits until all that was sent is done and acknowledged.
func (w *world) settle(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := invariants.Settle(ctx, w.deps); err != nil {
		t.Fatal(err)
	}
}

// holds waits for rest and checks the invariants.
func (w *world) holds(t *testing.T) {
	t.Helper()
	w.settle(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := invariants.AwaitViews(ctx, w.deps); err != nil {
		t.Fatal(err)
	}
	deps := w.deps
	w.mu.Lock()
	deps.Sent = slices.Values(w.sent)
	w.mu.Unlock()
	report, err := invariants.Check(ctx, deps)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(report.String())
	if !report.Holds() {
		t.Error("an invariant is broken")
	}
}

// count runs a query of one number.
func (w *world) count(t *testing.T, sql string) int {
	t.Helper()
	var n int
	if err := w.deps.Pool.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// decided waits until a function has decided at least so many events.
func (w *world) decided(t *testing.T, function string, n int) {
	t.Helper()
	stacktest.Eventually(t, time.Minute, fmt.Sprintf("%d decisions of %s", n, function), func(ctx context.Context) bool {
		var got int
		err := w.deps.Pool.QueryRow(ctx, `SELECT count(*) FROM millrace.audit WHERE function = $1`, function).Scan(&got)
		return err == nil && got >= n
	})
}
