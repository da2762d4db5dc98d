package kafka

import (
	"context"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// producers are the tests' clients, one for each cluster.
var producers = struct {
	sync.Mutex
	of map[*kfake.Cluster]*kgo.Client
}{of: map[*kfake.Cluster]*kgo.Client{}}

func producer(t *testing.T, cluster *kfake.Cluster) *kgo.Client {
	t.Helper()
	producers.Lock()
	defer producers.Unlock()
	if client := producers.of[cluster]; client != nil {
		return client
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...),
		kgo.ProducerBatchMaxBytes(8<<20), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		producers.Lock()
		defer producers.Unlock()
		delete(producers.of, cluster)
	})
	producers.of[cluster] = client
	return client
}

// produce writes the records and waits until Kafka has them.
func produce(t *testing.T, cluster *kfake.Cluster, records ...*kgo.Record) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := producer(t, cluster).ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// produceAborted writes records in a transaction that is aborted.
func produceAborted(t *testing.T, cluster *kfake.Cluster, records ...*kgo.Record) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.TransactionalID("aborts"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := client.EndTransaction(ctx, kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
}

// letters reads the n records of the dead-letter topic.
func letters(t *testing.T, cluster *kfake.Cluster, n int) []*kgo.Record {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics(topic+"-dead-letter"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var records []*kgo.Record
	for len(records) < n && ctx.Err() == nil {
		records = append(records, client.PollFetches(ctx).Records()...)
	}
	if len(records) != n {
		t.Fatalf("%d dead letters, want %d", len(records), n)
	}
	return records
}

// committed are the group's offsets; a partition without one counts as 0.
func committed(t *testing.T, cluster *kfake.Cluster, partitions int32) []int64 {
	t.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group = "millrace-trade"
	rt := kmsg.NewOffsetFetchRequestTopic()
	rt.Topic = topic
	for p := range partitions {
		rt.Partitions = append(rt.Partitions, p)
	}
	req.Topics = append(req.Topics, rt)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	resp, err := req.RequestWith(ctx, producer(t, cluster))
	if err != nil {
		t.Fatal(err)
	}
	offsets := make([]int64, partitions)
	for _, rt := range resp.Topics {
		for _, p := range rt.Partitions {
			offsets[p.Partition] = max(p.Offset, 0)
		}
	}
	for _, g := range resp.Groups { // as newer versions answer
		for _, rt := range g.Topics {
			for _, p := range rt.Partitions {
				offsets[p.Partition] = max(p.Offset, 0)
			}
		}
	}
	return offsets
}

func total(offsets []int64) (sum int) {
	for _, o := range offsets {
		sum += int(o)
	}
	return sum
}
