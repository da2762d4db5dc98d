package kafka

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/shared/kafka"
)

const topic = "trade-events"

// patience is how long a test waits for what must come.
const patience = 60 * time.Second

// newCluster starts a Kafka in the process; the topic's dead-letter topic is
// there too unless a test makes it itself.
func newCluster(t *testing.T, partitions int32, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	opts = append([]kfake.Opt{
		kfake.NumBrokers(1),
		kfake.SeedTopics(partitions, topic, topic+"-dead-letter"),
		kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}),
	}, opts...)
	cluster, err := kfake.NewCluster(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

func testConfig(cluster *kfake.Cluster, sink string) Config {
	return Config{
		Brokers: cluster.ListenAddrs(), Topics: []string{topic}, Group: "millrace-trade", Version: "3.6.0",
		Security: kafka.Security{Mechanism: "PLAIN"},
		Sink:     sink, SinkTimeout: Seconds(2 * patience), Name: "test",
		BatchEvents: 50, BatchBytes: 1 << 20, InFlight: 4, WindowEvents: 1000, WindowBytes: 8 << 20, FetchBytes: 64 << 10,
		RetryMin: time.Millisecond, RetryMax: 10 * time.Millisecond,
		CommitInterval: 10 * time.Millisecond, DrainTimeout: 5 * time.Second, SessionTimeout: 20 * time.Second,
		RebalanceTimeout: patience,
		ListenAddress:    "127.0.0.1:0",
	}
}

// running is a trigger under test. stop ends it as SIGTERM does and waits.
type running struct {
	*Trigger
	cancel context.CancelFunc
	done   chan error
}

func start(t *testing.T, cfg Config) *running {
	t.Helper()
	trigger, err := New(cfg, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{trigger, cancel, make(chan error, 1)}
	go func() { r.done <- trigger.Run(ctx) }()
	t.Cleanup(func() { r.stop(t) })
	return r
}

func (r *running) stop(t *testing.T) {
	t.Helper()
	r.cancel()
	select {
	case err := <-r.done:
		if err != nil {
			t.Errorf("Run: %v", err)
		}
		r.done <- nil
	case <-time.After(patience):
		t.Fatal("the trigger did not stop")
	}
}

// testLog writes to the test's log as long as the test runs.
func testLog(t *testing.T) *slog.Logger {
	t.Helper()
	w := &testWriter{t: t}
	t.Cleanup(w.end)
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

type testWriter struct {
	mu sync.Mutex
	t  *testing.T
}

func (w *testWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.t != nil {
		w.t.Log(string(bytes.TrimSpace(p)))
	}
	return len(p), nil
}

func (w *testWriter) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.t = nil
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// testRecord is a binary-mode event: id "key/n", subject and record key are key.
func testRecord(key string, n int) *kgo.Record {
	return &kgo.Record{
		Topic: topic, Key: []byte(key), Value: []byte(`{"n":` + strconv.Itoa(n) + `}`),
		Headers: ceHeaders("id", fmt.Sprintf("%s/%d", key, n), "source", "test", "type", "trade.executed.v1",
			"tenantid", "acme", "subject", key),
	}
}

func ceHeaders(attributes ...string) []kgo.RecordHeader {
	h := []kgo.RecordHeader{{Key: "ce_specversion", Value: []byte("1.0")}, {Key: "content-type", Value: []byte("application/json")}}
	for i := 0; i < len(attributes); i += 2 {
		h = append(h, kgo.RecordHeader{Key: "ce_" + attributes[i], Value: []byte(attributes[i+1])})
	}
	return h
}

// revoking tells that a claim is being given up.
func (r *running) revoking() bool {
	r.window.mu.Lock()
	defer r.window.mu.Unlock()
	for c := range r.window.claims {
		if c.revoked {
			return true
		}
	}
	return false
}

func (r *running) allPaused() bool {
	r.window.mu.Lock()
	defer r.window.mu.Unlock()
	for c := range r.window.claims {
		if !c.paused {
			return false
		}
	}
	return len(r.window.claims) > 0
}

func (r *running) heldBytes() int {
	r.window.mu.Lock()
	defer r.window.mu.Unlock()
	return r.window.bytes
}

func (r *running) delivered() int { return int(testutil.ToFloat64(r.metrics.delivered)) }

// held is what the trigger's window has.
func (r *running) held() int {
	r.window.mu.Lock()
	defer r.window.mu.Unlock()
	return r.window.events
}

func (r *running) retries(reason string) int {
	return int(testutil.ToFloat64(r.metrics.retries.WithLabelValues(reason)))
}
