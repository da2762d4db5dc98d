package kafka

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// BenchmarkTrigger measures the whole way from Kafka to a sink that takes
// everything; Kafka, the trigger and the sink share the process and its
// processors. Run it with -benchtime=200000x.
func BenchmarkTrigger(b *testing.B) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(10, topic, topic+"-dead-letter"))
	if err != nil {
		b.Fatal(err)
	}
	defer cluster.Close()
	fill(b, cluster, b.N)
	var bytes, requests atomic.Int64
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		bytes.Add(n)
		requests.Add(1)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer sink.Close()
	cfg := testConfig(cluster, sink.URL)
	cfg.BatchEvents, cfg.BatchBytes, cfg.WindowEvents, cfg.WindowBytes, cfg.FetchBytes = 500, 4<<20, 10_000, 64<<20, 256<<10
	trigger, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	b.ResetTimer()
	go func() { done <- trigger.Run(ctx) }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for (&running{Trigger: trigger}).delivered() < b.N {
		select {
		case err := <-done:
			b.Fatal(err)
		case <-tick.C:
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(b.N)/float64(requests.Load()), "events/request")
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

func fill(b *testing.B, cluster *kfake.Cluster, n int) {
	b.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	m := benchmarkMessage()
	for i := range n {
		r := &kgo.Record{Topic: topic, Key: fmt.Append(nil, "account-", i%5000), Value: m.Value}
		for _, h := range m.Headers {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: string(h.Key), Value: h.Value})
		}
		r.Headers[1].Value = []byte(strconv.Itoa(i))
		r.Headers[4].Value = r.Key
		client.Produce(context.Background(), r, nil)
	}
	if err := client.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
}
