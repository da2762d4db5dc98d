package invariants

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/functions"
	"github.com/millrace/millrace/infra/stack"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/runtime"
	"github.com/millrace/millrace/shared/views"
	"github.com/millrace/millrace/triggers/kafka"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

// world is a small Millrace that has run in this process and is at rest.
type world struct {
	deps        Deps
	databaseURL string
	stop        context.CancelFunc
	running     sync.WaitGroup
}

// run runs the functions, their triggers and relays until what is sent is
// settled, and then ends them.
func run(t *testing.T, records ...*kgo.Record) *world {
	t.Helper()
	w := begin(t, records...)
	pool := w.open(t, w.databaseURL)
	defer pool.Close()
	w.settle(t, pool)
	w.end(t)
	return w
}

// begin starts the functions, their triggers and relays.
func begin(t *testing.T, records ...*kgo.Record) *world {
	t.Helper()
	w := &world{databaseURL: stacktest.Postgres(t)}
	redisURL := stacktest.Redis(t)
	w.deps = Deps{Brokers: stacktest.Kafka(t), Functions: functions.All(), ConsumerGroups: map[string]string{}}
	var err error
	if w.deps.Redis, err = views.Open(t.Context(), redisURL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.deps.Redis.Close() })
	w.send(t, records...)
	ctx, stop := context.WithCancel(t.Context())
	w.stop = stop
	for _, fn := range w.deps.Functions {
		w.start(ctx, t, &w.running, fn, redisURL)
	}
	return w
}

// end ends all that runs.
func (w *world) end(t *testing.T) {
	t.Helper()
	w.stop()
	w.running.Wait()
}

// settle waits for rest.
func (w *world) settle(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := Settle(ctx, w.with(pool)); err != nil {
		w.end(t)
		t.Fatal(err)
	}
}

func (w *world) with(pool *pgxpool.Pool) Deps {
	deps := w.deps
	deps.Pool = pool
	return deps
}

func (w *world) open(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// start starts a function and its trigger.
func (w *world) start(ctx context.Context, t *testing.T, running *sync.WaitGroup, fn function.Definition, redisURL string) {
	t.Helper()
	port, err := stack.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	topic := topics.Events(fn.FunctionName())
	w.deps.ConsumerGroups[topic] = "millrace-" + topic
	address := net.JoinHostPort("127.0.0.1", fmt.Sprint(port))
	environment := env.Options{Environment: map[string]string{
		"LISTEN_ADDRESS": address, "DATABASE_URL": w.databaseURL, "REDIS_URL": redisURL, "K_SINK": "http://" + address,
		"KAFKA_BROKERS": strings.Join(w.deps.Brokers, ","), "KAFKA_TOPICS": topic, "KAFKA_CONSUMER_GROUP": w.deps.ConsumerGroups[topic],
	}}
	config, err := env.ParseAsWithOptions[runtime.Config](environment)
	if err != nil {
		t.Fatal(err)
	}
	triggerConfig, err := env.ParseAsWithOptions[kafka.Config](environment)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	trigger, err := kafka.New(triggerConfig, log)
	if err != nil {
		t.Fatal(err)
	}
	running.Go(func() {
		if err := runtime.Run(ctx, fn, config, log); err != nil {
			t.Errorf("%s: %v", fn.FunctionName(), err)
		}
	})
	running.Go(func() {
		if err := trigger.Run(ctx); err != nil {
			t.Errorf("trigger of %s: %v", fn.FunctionName(), err)
		}
	})
}

// send puts records into Kafka.
func (w *world) send(t *testing.T, records ...*kgo.Record) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.deps.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// record makes a record of an event in structured mode: "type id
// name=value... data". It goes to the topic of its type.
func record(partition int32, text string) *kgo.Record {
	eventType, rest, _ := strings.Cut(text, " ")
	id, rest, _ := strings.Cut(rest, " ")
	attributes := map[string]string{"tenantid": "acme", "source": "/desk", "subject": "acct-1", "time": "2026-03-14T09:26:53Z"}
	for rest != "" && rest[0] != '{' {
		var attribute string
		attribute, rest, _ = strings.Cut(rest, " ")
		name, value, _ := strings.Cut(attribute, "=")
		attributes[name] = value
	}
	var out strings.Builder
	fmt.Fprintf(&out, `{"specversion":"1.0","type":%q,"id":%q`, eventType, id)
	for name, value := range attributes {
		fmt.Fprintf(&out, `,%q:%q`, name, value)
	}
	if rest != "" {
		fmt.Fprintf(&out, `,"data":%s`, rest)
	}
	family, _, _ := strings.Cut(eventType, ".")
	return &kgo.Record{
		Topic: topics.Events(family), Partition: partition, Value: []byte(out.String() + "}"),
		Headers: []kgo.RecordHeader{{Key: "content-type", Value: []byte("application/cloudevents+json")}},
	}
}

// traffic is a little of everything, of two tenants.
func traffic() []*kgo.Record {
	const executed = `{"instrument":"AAPL","side":"buy","quantity":"10","price":"12.50","currency":"EUR","fee":"1"}`
	null := &kgo.Record{Topic: "trade-events", Partition: 1}
	binary := &kgo.Record{Topic: "trade-events", Partition: 2, Value: []byte(executed)}
	for name, value := range map[string]string{
		"ce_specversion": "1.0", "ce_id": "B1", "ce_source": "/binary", "ce_type": "trade.executed.v1", "ce_tenantid": "acme",
		"ce_subject": "acct-2", "ce_time": "2026-03-14T09:26:53Z", "content-type": "application/json",
	} {
		binary.Headers = append(binary.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
	}
	return []*kgo.Record{
		record(0, `trade.executed.v1 T1 sequence=1 `+executed),
		record(0, `trade.executed.v1 T2 sequence=2 {"instrument":"AAPL","side":"sell","quantity":"4","price":"13","currency":"EUR"}`),
		record(0, `trade.amended.v1 T3 sequence=3 {"trade":"T1","quantity":"11","price":"12.50"}`),
		record(0, `trade.cancelled.v1 T4 sequence=4 {"trade":"T2"}`),
		record(0, `trade.cancelled.v1 T5 sequence=5 {"trade":"T2"}`),             // refused
		record(0, `trade.executed.v1 T7 sequence=7 `+executed),                   // parked
		record(3, `trade.executed.v1 T1 sequence=1 `+executed),                   // again
		record(3, `trade.executed.v1 T1 sequence=1 {"instrument":"other"}`),      // same id, other payload
		record(0, `trade.executed.v1 U1 tenantid=zeta source=/other `+executed),  // another tenant
		record(0, `trade.executed.v1 U2 source=/other subject=acct-3 `+executed), // another account
		record(0, `trade.executed.v1 P1 source=/other {"instrument":1}`),         // bad payload
		record(0, `trade.executed.v1 P2 source=/other time=yesterday `+executed), // no identity is read
		record(0, `trade.exploded.v1 P3 source=/other {}`),                       // unknown type
		record(4, `ledger.posted.v1 L1 source=/books {"postings":[{"account":"a","currency":"EUR","amount":"5"},{"account":"b","currency":"EUR","amount":"-5"}]}`),
		record(4, `ledger.reversed.v1 L2 source=/books {"entry":"L1"}`),
		record(4, `position.fill-booked.v1 F1 source=/desk {"instrument":"MSFT","side":"sell","quantity":"2","price":"7","currency":"USD"}`),
		record(4, `agent.signed-in.v1 A1 source=/desktop subject=agent-7 {"skills":["fr"],"features":{"dark-mode":true}}`),
		record(4, `agent.signed-out.v1 A2 source=/desktop subject=agent-7 {}`),
		record(4, `agent.status-changed.v1 A3 source=/desktop subject=agent-8 {"status":"busy"}`), // refused
		record(4, `agent.signed-in.v1 A4 source=/desktop subject=agent-9 {}`),
		record(5, `message.sent.v1 M1 source=/chat subject=conv-1 {"author":"ann","text":"secret"}`),
		record(5, `message.sent.v1 M1 source=/chat subject=conv-1 {"author":"ann","text":"another secret"}`),      // same id, other payload
		record(5, `message.edited.v1 M2 source=/chat subject=conv-1 sequence=2 {"message":"M1","text":"secret"}`), // parked
		record(5, `message.redacted.v1 M3 source=/chat subject=conv-1 {"message":"M1"}`),
		record(5, `message.edited.v1 M4 source=/chat subject=conv-1 {"message":"M1","text":"secret"}`), // refused
		record(5, `conversation.queued.v1 C1 subject=conv-1 {"queue":"billing","priority":2}`),
		record(5, `conversation.transferred.v1 C2 subject=conv-1 {"agent":"agent-1"}`),
		record(5, `conversation.assigned.v1 C3 subject=conv-2 {"agent":"agent-1"}`),
		record(5, `conversation.closed.v1 C4 subject=conv-2 {}`),
		record(5, `conversation.assigned.v1 C5 subject=conv-2 {"agent":"agent-2"}`), // refused
		null,
		{Topic: "trade-events", Partition: 1, Value: []byte(`{"no":"event"}`)},
		binary,
	}
}
