package test_test

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/infra/platform"
	"github.com/millrace/millrace/infra/records"
	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/infra/traffic/produce"
	"github.com/millrace/millrace/shared/kafka"
)

func (w *world) producer(t *testing.T) *produce.Producer {
	t.Helper()
	p, err := produce.New(w.brokers, kafka.Security{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// extents counts a function's records: taken, and waiting.
func (w *world) extents(t *testing.T, function string) (done, left int64) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if done, left, err = sumExtents(t.Context(), kadm.NewClient(client), function); err != nil {
		t.Fatal(err)
	}
	return done, left
}

func sumExtents(ctx context.Context, admin *kadm.Client, function string) (done, left int64, err error) {
	all, err := records.Extents(ctx, admin, topics.Events(function), platform.ConsumerGroup(function))
	for _, x := range all {
		done += x.Committed
		left += x.End - x.Committed
	}
	return done, left, err
}
