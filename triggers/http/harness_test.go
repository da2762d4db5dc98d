package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/binding"
	"github.com/millrace/millrace/shared/kafka"
)

// world is a gateway with a Kafka of its own.
type world struct {
	*Gateway
	url, subscriberURL string
	kafka              *kfake.Cluster
	log                *stacktest.Log
	stop               func() error // drains, and says how that went
}

func testConfig(brokers []string) Config {
	return Config{
		Port: 8080, Brokers: brokers, Security: kafka.Security{Mechanism: "PLAIN"}, Source: "millrace-http", InFlight: 16,
		Requests:       binding.Limits{BodyBytes: 1 << 26, MaxBodyBytes: 1 << 22, MaxEventBytes: 1 << 20},
		RequestTimeout: 20 * time.Second, HeaderTimeout: 20 * time.Second, ReadTimeout: 20 * time.Second,
		IdleTimeout: time.Minute, DrainTimeout: 20 * time.Second,
	}
}

// newWorld starts a gateway that nobody has to log in to, unless change says
// otherwise.
func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	cluster := stacktest.KafkaCluster(t)
	w := &world{kafka: cluster.Cluster(), log: &stacktest.Log{}}
	config := testConfig(cluster.Brokers)
	if change != nil {
		change(&config)
	}
	var err error
	if w.Gateway, err = New(config, slog.New(slog.NewJSONHandler(w.log, nil))); err != nil {
		t.Fatal(err)
	}
	w.producer.config.Metadata.Retry.Backoff = 5 * time.Millisecond
	w.producer.config.Producer.Retry.BackoffFunc = sarama.NewExponentialBackoff(5*time.Millisecond, 5*time.Millisecond)
	listener, subscriber := listen(t), listen(t)
	w.url, w.subscriberURL = "http://"+listener.Addr().String(), "http://"+subscriber.Addr().String()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- w.serveOn(ctx, listener, subscriber) }()
	w.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := w.stop(); err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
	return w
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// request is one to a gateway.
type request struct {
	path, media, body string
	headers           []string // name: value
}

// response is its answer, read whole.
type response struct {
	status int
	header http.Header
	body   string
}

func (r request) build(t testing.TB, url string) *http.Request {
	t.Helper()
	out, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+r.path, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	if r.media != "" {
		out.Header.Set("Content-Type", r.media)
	}
	for _, h := range r.headers {
		name, value, _ := strings.Cut(h, ": ")
		out.Header.Add(name, value)
	}
	return out
}

// send posts a request and holds both sides to the OpenAPI description.
func (w *world) send(t testing.TB, r request) response {
	t.Helper()
	answer := roundTrip(t, http.DefaultClient, r.build(t, w.url))
	checkDescribed(t, r.build(t, w.url), answer)
	return answer
}

func roundTrip(t testing.TB, client *http.Client, r *http.Request) response {
	t.Helper()
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read whole
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response{resp.StatusCode, resp.Header, string(body)}
}

func (r response) wants(t testing.TB, name string, status int, text string) {
	t.Helper()
	if r.status != status || !strings.Contains(r.body, text) || text == "" && r.body != "" {
		t.Errorf("%s: got %d %s, want %d with %q", name, r.status, r.body, status, text)
	}
	if media := r.header.Get("Content-Type"); r.status >= 400 && media != "application/problem+json" {
		t.Errorf("%s: the error has content type %q", name, media)
	}
}

// structured is an event in structured mode, with members replaced or, by nil,
// left out.
func structured(id string, change map[string]any) string {
	e := map[string]any{
		"specversion": "1.0", "id": id, "source": "/shop", "type": "trade.executed.v1", "subject": "account-1", "tenantid": "acme",
		"time": "2026-11-20T09:00:00Z", "datacontenttype": "application/json", "data": map[string]any{"side": "buy"},
	}
	for name, value := range change {
		if e[name] = value; value == nil {
			delete(e, name)
		}
	}
	text, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func binary(id string, more ...string) []string {
	return append([]string{"ce-specversion: 1.0", "ce-id: " + id, "ce-source: /shop", "ce-type: trade.executed.v1", "ce-subject: account-1",
		"ce-tenantid: acme", "ce-time: 2026-11-20T09:00:00Z"}, more...)
}

func batch(events ...string) string { return "[" + strings.Join(events, ",") + "]" }

// stored reads n records of the topics from the beginning; the test fails if
// there are more.
func (w *world) stored(t *testing.T, n int) []*kgo.Record {
	t.Helper()
	var topics []string
	for _, f := range kafka.Functions() {
		topics = append(topics, kafka.Events(f))
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(w.kafka.ListenAddrs()...), kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var all []*kgo.Record
	for len(all) < n && ctx.Err() == nil {
		all = append(all, client.PollFetches(ctx).Records()...)
	}
	if len(all) != n || w.count() != n {
		t.Fatalf("Kafka has %d records, read %d, want %d", w.count(), len(all), n)
	}
	return all
}

// count is how many records Kafka has.
func (w *world) count() (n int) {
	for _, f := range kafka.Functions() {
		for _, p := range w.kafka.PartitionInfos(kafka.Events(f)) {
			n += int(p.HighWatermark)
		}
	}
	return n
}

func decode[T any](t testing.TB, text string) (out T) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewBufferString(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&out); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return out
}
