package kafka_test

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/shared/event"
)

// begin puts events into Kafka, in a transaction that is left open.
func (w *world) begin(ctx context.Context, t *testing.T, all []*event.Event) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.cluster.Addresses()...), kgo.TransactionalID(t.Name()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if err := client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	records := make([]*kgo.Record, len(all))
	for n, e := range all {
		records[n] = record(e)
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	return client
}

func end(ctx context.Context, t *testing.T, client *kgo.Client, how kgo.TransactionEndTry) {
	t.Helper()
	if err := client.EndTransaction(ctx, how); err != nil {
		t.Fatal(err)
	}
}

// transact is a whole transaction; the world accounts for one that is committed.
func (w *world) transact(t *testing.T, how kgo.TransactionEndTry, all []*event.Event) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	end(ctx, t, w.begin(ctx, t, all), how)
	if how == kgo.TryCommit {
		for _, e := range all {
			w.sent = append(w.sent, identity(e))
		}
	}
}
