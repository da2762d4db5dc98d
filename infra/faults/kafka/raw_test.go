package kafka_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/infra/invariants"
)

// sendRaw puts a record into Kafka, and returns where it is: topic/partition/offset.
func (w *world) sendRaw(t *testing.T, r *kgo.Record) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got, err := w.client.ProduceSync(ctx, r).First()
	if err != nil {
		t.Fatal(err)
	}
	w.sent = append(w.sent, invariants.Sent{Topic: got.Topic, Partition: got.Partition, Offset: got.Offset})
	return fmt.Sprintf("%s/%d/%d", got.Topic, got.Partition, got.Offset)
}

// letters counts the dead letters of a record, by what they say of their origin.
func (w *world) letters(t *testing.T, origin string) int {
	t.Helper()
	n := 0
	w.read(t, deadLetters, func(r *kgo.Record) {
		for _, h := range r.Headers {
			if h.Key == "millrace-origin" && string(h.Value) == origin {
				n++
			}
		}
	})
	return n
}

// read reads all records of a topic that there are by now.
func (w *world) read(t *testing.T, topic string, do func(*kgo.Record)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ends, err := w.admin.ListEndOffsets(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	starts, err := w.admin.ListStartOffsets(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	open := map[int32]kgo.Offset{}
	for partition, end := range ends[topic] {
		if start := starts[topic][partition].Offset; start < end.Offset {
			open[partition] = kgo.NewOffset().At(start)
		}
	}
	if len(open) == 0 {
		return
	}
	reader, err := kgo.NewClient(kgo.SeedBrokers(w.cluster.Addresses()...), kgo.KeepControlRecords(), kgo.FetchMaxWait(100*time.Millisecond),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: open}))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for len(open) > 0 && ctx.Err() == nil {
		reader.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				do(r)
			}
			if r.Offset == ends[topic][r.Partition].Offset-1 {
				delete(open, r.Partition)
			}
		})
	}
}
