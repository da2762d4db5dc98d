package test_test

import (
	"context"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/infra/platform"
	"github.com/millrace/millrace/infra/records"
	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/infra/traffic"
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
	admin := w.admin(t)
	defer admin.Close()
	done, left, err := sumExtents(t.Context(), admin, function)
	if err != nil {
		t.Fatal(err)
	}
	return done, left
}

func (w *world) admin(t *testing.T) *kadm.Client {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.brokers...))
	if err != nil {
		t.Fatal(err)
	}
	return kadm.NewClient(client)
}

// ends is where the functions' topics end now, by topic and partition.
func (w *world) ends(t *testing.T) map[string]map[int32]int64 {
	t.Helper()
	admin := w.admin(t)
	defer admin.Close()
	all, err := endsOf(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func endsOf(ctx context.Context, admin *kadm.Client) (map[string]map[int32]int64, error) {
	all := map[string]map[int32]int64{}
	for _, name := range functions() {
		extents, err := records.Extents(ctx, admin, topics.Events(name), "")
		if err != nil {
			return nil, err
		}
		ends := map[int32]int64{}
		for partition, x := range extents {
			ends[partition] = x.End
		}
		all[topics.Events(name)] = ends
	}
	return all, nil
}

// since are those of the records whose events came to Kafka after its topics ended there.
func (w *world) since(ctx context.Context, ends map[string]map[int32]int64, sent []traffic.Record) ([]traffic.Record, error) {
	cluster := records.Cluster{Brokers: w.brokers}
	client, err := cluster.Open()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	now, err := endsOf(ctx, kadm.NewClient(client))
	if err != nil {
		return nil, err
	}
	type identity struct{ tenant, source, id string }
	there := map[identity]bool{}
	for topic, from := range ends {
		err := records.Walk(ctx, cluster, topic, from, now[topic], func(_ context.Context, page []*kgo.Record) error {
			for _, r := range page {
				if e := records.Read(r).Event; e != nil {
					there[identity{e.TenantID, e.Source, e.ID}] = true
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(slices.Clone(sent), func(r traffic.Record) bool {
		return !there[identity{r.Event.TenantID, r.Event.Source, r.Event.ID}]
	}), nil
}

func sumExtents(ctx context.Context, admin *kadm.Client, function string) (done, left int64, err error) {
	all, err := records.Extents(ctx, admin, topics.Events(function), platform.ConsumerGroup(function))
	for _, x := range all {
		done += x.Committed
		left += x.End - x.Committed
	}
	return done, left, err
}
