package relay

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/functions"
	"github.com/millrace/millrace/functions/trade"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/outbox"
	"github.com/millrace/millrace/shared/postgres"
	"github.com/millrace/millrace/shared/runtime"
	"github.com/millrace/millrace/shared/views"
)

// platform is the relay's process over servers of its own, and a function that
// crashes after each commit: its claims are lost, and lie in the outbox.
type platform struct {
	Config
	url    string
	pool   *pgxpool.Pool
	redis  redis.UniversalClient
	trade  *runtime.Processor
	logs   stacktest.Log
	stop   context.CancelFunc
	exited chan error
}

func start(t *testing.T, change func(*Config)) *platform {
	t.Helper()
	p := &platform{Config: Config{
		Postgres: postgres.Config{URL: stacktest.Postgres(t), MaxConns: 8, ConnectTimeout: time.Minute, IdleTime: time.Minute},
		RedisURL: stacktest.Redis(t), KafkaBrokers: stacktest.Kafka(t),
		BatchRows: 10, Lease: time.Second, DrainTimeout: 20 * time.Second,
		Limits: runtime.Limits{Drain: 2, Parked: 100, DeadLetters: 100},
	}, exited: make(chan error, 1)}
	if change != nil {
		change(&p.Config)
	}
	var err error
	if p.pool, err = postgres.Open(t.Context(), p.Postgres); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.pool.Close)
	if p.redis, err = views.Open(t.Context(), p.RedisURL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.redis.Close() })
	log := slog.New(slog.NewJSONHandler(&p.logs, nil))
	p.trade = runtime.NewProcessor(trade.New(), p.pool, p.Limits, log, func(outbox.Claim) {})

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.url = "http://" + listener.Addr().String()
	ctx, stop := context.WithCancel(t.Context())
	p.stop = stop
	go func() { p.exited <- serve(ctx, listener, functions.All(), p.Config, log) }()
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Log(p.logs.String())
		}
	})
	return p
}

// execute has the function decide a trade.
func (p *platform) execute(t *testing.T, id string, sequence int64) runtime.Outcome {
	t.Helper()
	e := &event.Event{
		TenantID: "acme", Source: "/desk", ID: id, Type: "trade.executed.v1", Subject: "acct-1", Sequence: sequence,
		Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), IsJSON: true,
		Data: []byte(`{"instrument":"AAPL","side":"buy","quantity":"1","price":"100","currency":"USD"}`),
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	outcomes, err := p.trade.Process(ctx, []event.Received{{Event: e, Raw: event.AppendJSON(nil, e)}})
	if err != nil {
		t.Fatal(err)
	}
	return outcomes[0]
}

func (p *platform) post(t *testing.T, path, body string, want int) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/cloudevents+json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != want {
		t.Fatalf("%d, want %d: %s %v", response.StatusCode, want, answer, err)
	}
	if response.StatusCode < 300 && len(answer) > 0 {
		t.Errorf("the answer to an event must be empty: %s", answer)
	}
}

func (p *platform) get(t *testing.T, path string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func (p *platform) exec(t *testing.T, sql string) {
	t.Helper()
	if _, err := p.pool.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func (p *platform) outboxRows(t *testing.T) (n int) {
	t.Helper()
	if err := p.pool.QueryRow(t.Context(), `SELECT count(*) FROM millrace.outbox`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func (p *platform) shown(t *testing.T) int {
	t.Helper()
	trades, err := views.ReadRecent(t.Context(), p.redis, views.Key("acme", "trades", "acct-1"))
	if err != nil {
		t.Fatal(err)
	}
	return len(trades)
}

// emitted waits for n records of a topic and returns the events' ids.
func (p *platform) emitted(t *testing.T, topic string, n int) (ids []string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(p.KafkaBrokers...), kgo.ConsumeTopics(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for len(ids) < n {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%s has %v", topic, ids)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			var e struct {
				ID string `json:"id"`
			}
			if err := json.Unmarshal(r.Value, &e); err != nil || string(r.Key) != "acct-1" {
				t.Errorf("record %q %s: %v", r.Key, r.Value, err)
			}
			ids = append(ids, e.ID)
		})
	}
	return ids
}
