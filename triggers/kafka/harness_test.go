package kafka

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
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
		Security: Security{Mechanism: "PLAIN"},
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

var producers sync.Map // *kfake.Cluster to *kgo.Client

func producer(t *testing.T, cluster *kfake.Cluster) *kgo.Client {
	if client, ok := producers.Load(cluster); ok {
		return client.(*kgo.Client)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...),
		kgo.ProducerBatchMaxBytes(8<<20), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		producers.Delete(cluster)
		client.Close()
	})
	producers.Store(cluster, client)
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

// consume reads n records of a topic from its start.
func consume(t *testing.T, cluster *kfake.Cluster, topic string, n int) []*kgo.Record {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics(topic))
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
		t.Fatalf("%s has %d records, want %d", topic, len(records), n)
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

// testEvent is what a sink sees of an event.
type testEvent struct {
	ID        string          `json:"id"`
	Subject   string          `json:"subject"`
	Tenant    string          `json:"tenantid"`
	Offset    string          `json:"knativekafkaoffset"`
	Partition int32           `json:"knativekafkapartition"`
	Data      json.RawMessage `json:"data"`
}

func (e testEvent) offset() int64 {
	n, _ := strconv.ParseInt(e.Offset, 10, 64)
	return n
}

// testSink is a function that misbehaves as told. It checks at all times that
// no two requests carry the same entity of one partition.
type testSink struct {
	*httptest.Server
	t *testing.T
	// answer decides on a batch; nil takes everything. 0 cuts the connection.
	answer     func(r *http.Request, batch []testEvent) int
	retryAfter string // of its 429s

	mu      sync.Mutex
	flying  map[string]int
	open    int           // requests under way
	batches [][]testEvent // taken, in the order of their answers
	taken   map[string]int
	order   map[string][]int64 // by partition and entity: offsets as first taken
}

func newSinkServer(t *testing.T, answer func(r *http.Request, batch []testEvent) int) *testSink {
	s := &testSink{t: t, answer: answer, flying: map[string]int{}, taken: map[string]int{}, order: map[string][]int64{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Server.Close)
	return s
}

func lane0(e testEvent) string { return fmt.Sprintf("%d %s %s", e.Partition, e.Tenant, e.Subject) }

func (s *testSink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if got := r.Header.Get("Content-Type"); got != "application/cloudevents-batch+json" {
		s.t.Errorf("content type %q", got)
	}
	var batch []testEvent
	if err := json.Unmarshal(body, &batch); err != nil || len(batch) == 0 {
		s.t.Errorf("body is no batch: %v: %.200s", err, body)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.takeOff(batch)
	status := http.StatusAccepted
	if s.answer != nil {
		status = s.answer(r, batch)
	}
	s.land(batch, status)
	if status == 0 {
		cut(w)
		return
	}
	if status == http.StatusTooManyRequests && s.retryAfter != "" {
		w.Header().Set("Retry-After", s.retryAfter)
	}
	w.WriteHeader(status)
	fmt.Fprintf(w, "status %d", status)
}

func (s *testSink) takeOff(batch []testEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open++
	mine := map[string]bool{}
	for _, e := range batch {
		mine[lane0(e)] = true
	}
	for key := range mine {
		if s.flying[key]++; s.flying[key] > 1 {
			s.t.Errorf("two requests carry %s at once", key)
		}
	}
}

func (s *testSink) land(batch []testEvent, status int) {
	if status >= 200 && status <= 299 {
		s.take(batch)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	for _, e := range batch {
		delete(s.flying, lane0(e))
	}
}

// take applies a batch.
func (s *testSink) take(batch []testEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches = append(s.batches, batch)
	for _, e := range batch {
		if s.taken[e.ID]++; s.taken[e.ID] == 1 {
			s.order[lane0(e)] = append(s.order[lane0(e)], e.offset())
		}
	}
}

func (s *testSink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.taken)
}

// inFlight tells whether a request carries an event of the subject.
func (s *testSink) inFlight(subject string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.flying {
		if strings.HasSuffix(key, " "+subject) {
			return true
		}
	}
	return false
}

func (s *testSink) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// othersTaken counts what was taken of partitions other than p.
func (s *testSink) othersTaken(p int32) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, offsets := range s.order {
		if !strings.HasPrefix(key, fmt.Sprint(p, " ")) {
			n += len(offsets)
		}
	}
	return n
}

// othersEnd is how many records partitions other than p have.
func (s *testSink) othersEnd(cluster *kfake.Cluster, p int32) (n int) {
	for _, info := range cluster.PartitionInfos(topic) {
		if info.Partition != p {
			n += int(info.HighWatermark)
		}
	}
	return n
}

// wantAll waits until n events are taken and their offsets committed.
func (s *testSink) wantAll(cluster *kfake.Cluster, partitions int32, n int) {
	s.t.Helper()
	s.want(cluster, partitions, n, n)
}

// want waits until so many events are taken, and so many records committed,
// which is the end of all partitions; and checks the order.
func (s *testSink) want(cluster *kfake.Cluster, partitions int32, events, records int) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("%d events taken", events), func() bool { return s.count() >= events })
	eventually(s.t, fmt.Sprintf("%d records committed", records), func() bool { return total(committed(s.t, cluster, partitions)) == records })
	if n := s.count(); n != events {
		s.t.Errorf("%d events taken, want %d", n, events)
	}
	s.inOrder()
}

// wantOnce checks that no event was taken twice.
func (s *testSink) wantOnce() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, n := range s.taken {
		if n != 1 {
			s.t.Errorf("%s taken %d times", id, n)
		}
	}
}

// inOrder checks that each entity's events were first taken in their order.
func (s *testSink) inOrder() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, offsets := range s.order {
		for i := 1; i < len(offsets); i++ {
			if offsets[i] <= offsets[i-1] {
				s.t.Errorf("%s: offset %d taken after %d", key, offsets[i], offsets[i-1])
			}
		}
	}
}

// cut ends the connection in the middle of things.
func cut(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
