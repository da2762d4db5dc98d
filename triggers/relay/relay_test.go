package relay

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/functions"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/postgres"
	"github.com/millrace/millrace/shared/runtime"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

// A crash after the commit, before Redis and Kafka (fault 1): a sweep tells
// both, and a sweep that finds nothing does nothing.
func TestSweepAsked(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	for n := range 25 {
		if o := p.execute(t, fmt.Sprint("t-", n), 0); o.Kind != runtime.Applied {
			t.Fatal(o)
		}
	}
	p.post(t, "/sweep", "", http.StatusNoContent)
	if p.outboxRows(t) != 0 || p.shown(t) != 25 {
		t.Errorf("%d rows are left, %d trades shown", p.outboxRows(t), p.shown(t))
	}
	for _, topic := range []string{"position-events", "ledger-events"} {
		ids := p.emitted(t, topic, 25)
		if want := strings.TrimSuffix(topic, "-events") + "/acct-1/1"; ids[0] != want || len(ids) != 25 {
			t.Errorf("%s has %v", topic, ids)
		}
	}
	p.post(t, "/", `{"specversion":"1.0","id":"1","source":"/ping","type":"dev.knative.sources.ping"}`, http.StatusNoContent)
	p.post(t, "/", strings.Repeat("x", maxBody+1), http.StatusRequestEntityTooLarge)
	if code, _ := p.get(t, "/health/readiness"); code != http.StatusOK {
		t.Error(code)
	}
	if code, _ := p.get(t, "/health/liveness"); code != http.StatusOK {
		t.Error(code)
	}
	_, metrics := p.get(t, "/metrics")
	for _, want := range []string{`millrace_sweeps_total{outcome="ok"} 2`, `millrace_outbox_rows{function="trade"} 0`, "millrace_database_up 1", "millrace_relay_events_emitted_total 50", "millrace_relay_rows_swept_total 25"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %q", want)
		}
	}
	p.stop()
	if err := <-p.exited; err != nil {
		t.Error(err)
	}
}

// Parked events that did not fit into the transaction of the one they waited
// for are drained by sweeps.
func TestSweepDrains(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	for n := int64(2); n <= 10; n++ {
		if o := p.execute(t, fmt.Sprint("t-", n), n); o.Kind != runtime.Parked {
			t.Fatal(o)
		}
	}
	p.execute(t, "t-1", 1)
	p.until(t, func() bool {
		p.post(t, "/sweep", "", http.StatusNoContent)
		return p.outboxRows(t) == 0
	})
	if n := p.shown(t); n != 10 {
		t.Errorf("%d trades are shown", n)
	}
}

// until calls done, with PostgreSQL's clock moving on in between, until it says
// so or the test's time is over.
func (p *platform) until(t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("it did not come to that")
		}
	}
}

// What lies in the database is told, of every function and table.
func TestBacklogIsTold(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	p.execute(t, "t-1", 0)
	p.execute(t, "t-1", 1) // the id is another event's
	p.execute(t, "t-2", 2) // its first never came
	p.exec(t, `UPDATE millrace.parked SET parked_at = now() - interval '1 hour'`)
	p.exec(t, `UPDATE millrace.outbox SET created_at = now() - interval '1 hour'`)
	p.exec(t, `INSERT INTO millrace.dead_letters (id, function, tenant_id, source, event_id, type, subject, kind, reason, cause, event, state, created_at)
		SELECT gen_random_uuid(), function, tenant_id, source, 't-3', type, subject, kind, reason, cause, event, 'redriving', created_at
		FROM millrace.dead_letters`)
	p.exec(t, `INSERT INTO millrace.operations (done_at, who, what, why, function, tenant_id, subject, source, dead_letter, event_id)
		SELECT now() - age, 'ann', 'redrive', '', function, tenant_id, subject, source, id, event_id
		FROM millrace.dead_letters, unnest(ARRAY['1 hour', '1 day']::interval[]) AS age WHERE state = 'redriving'`)
	p.exec(t, `INSERT INTO millrace.audit_default SELECT '2001-01-01', tenant_id, function, 'another', version, outcome,
		reason, source, id, type, time, sequence, digest, data, attributes, decided_at FROM millrace.audit`)
	_, metrics := p.get(t, "/metrics")
	for _, want := range []string{
		`millrace_parked_events{function="trade"} 1`, `millrace_parked_oldest_seconds{function="trade"} 36`,
		`millrace_parked_events{function="ledger"} 0`, `millrace_parked_oldest_seconds{function="ledger"} 0`,
		`millrace_outbox_rows{function="trade"} 2`, `millrace_outbox_oldest_seconds{function="trade"} 36`,
		`millrace_open_dead_letters{function="trade",kind="undecided"} 1`, `millrace_open_dead_letters{function="trade",kind="refused"} 0`,
		`millrace_redriving_dead_letters{function="trade"} 1`, `millrace_redriving_oldest_seconds{function="trade"} 36`,
		`millrace_redriving_dead_letters{function="ledger"} 0`, `millrace_redriving_oldest_seconds{function="ledger"} 0`,
		`millrace_default_partition_used{table="audit"} 1`, `millrace_default_partition_used{table="fills"} 0`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %q", want)
		}
	}
}

// With an interval nobody has to ask; and a flushed Redis is rebuilt (fault 21).
func TestInterval(t *testing.T) {
	t.Parallel()
	p := start(t, func(c *Config) { c.Interval = 10 * time.Millisecond })
	p.execute(t, "t-1", 0)
	p.until(t, func() bool { return p.outboxRows(t) == 0 })
	if p.shown(t) != 1 {
		t.Error("the trade is not shown")
	}
	if err := p.redis.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	p.until(t, func() bool { return p.shown(t) == 1 })
	p.stop()
	if err := <-p.exited; err != nil {
		t.Error(err)
	}
}

// The process starts without any of its servers, says that it is not ready, and
// does what it can.
func TestStartsWithoutServers(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	_ = closed.Close()
	c := Config{
		Postgres: postgres.Config{URL: "postgres://u:secret@" + nobody + "/db", MaxConns: 2, ConnectTimeout: time.Second, IdleTime: time.Minute},
		RedisURL: "redis://:secret@" + nobody, KafkaBrokers: []string{nobody},
		BatchRows: 1, Lease: time.Second, DrainTimeout: time.Second,
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &platform{url: "http://" + listener.Addr().String(), exited: make(chan error, 1)}
	ctx, stop := context.WithCancel(t.Context())
	log := slog.New(slog.NewJSONHandler(&p.logs, nil))
	go func() { p.exited <- serve(ctx, listener, functions.All(), c, log) }()
	if code, _ := p.get(t, "/health/readiness"); code != http.StatusServiceUnavailable {
		t.Error(code)
	}
	if code, _ := p.get(t, "/health/liveness"); code != http.StatusOK {
		t.Error(code)
	}
	p.post(t, "/sweep", "", http.StatusServiceUnavailable)
	if _, metrics := p.get(t, "/metrics"); !strings.Contains(metrics, "millrace_database_up 0") || strings.Contains(metrics, "millrace_outbox_rows{") {
		t.Error("the metrics tell of a database that is not there: " + metrics)
	}
	stop()
	if err := <-p.exited; err != nil {
		t.Error(err)
	}
	if strings.Contains(p.logs.String(), "secret") {
		t.Error("a password is in the logs: " + p.logs.String())
	}
}

// While one sweep goes on another one that is asked for has nothing to do.
func TestSweepsDoNotPile(t *testing.T) {
	t.Parallel()
	s := &sweeper{}
	s.sweeping.Lock()
	s.rebuilding.Lock()
	if swept, err := s.sweep(t.Context()); swept || err != nil {
		t.Error(swept, err)
	}
}

func TestConfigNamesAllThatIsWrong(t *testing.T) {
	t.Setenv("DATABASE_URL", "postgres://u:secret@[")
	t.Setenv("REDIS_URL", "redis://:secret@%zz")
	t.Setenv("KAFKA_BROKERS", "a:1,")
	t.Setenv("RELAY_INTERVAL", "-1s")
	t.Setenv("RELAY_LEASE", "1ms")
	t.Setenv("RELAY_BATCH_ROWS", "0")
	_, err := FromEnvironment()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"DATABASE_URL", "REDIS_URL", "KAFKA_BROKERS", "RELAY_INTERVAL", "RELAY_LEASE", "RELAY_BATCH_ROWS"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named in: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}

func TestConfigDefaults(t *testing.T) {
	t.Setenv("DATABASE_URL", "postgres://u@h/db")
	t.Setenv("REDIS_URL", "redis://h:1?addr=i:2")
	t.Setenv("KAFKA_BROKERS", "a:1,b:2")
	c, err := FromEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	if c.Interval != 0 || c.OlderThan != 5*time.Second || c.address() != ":8080" || len(c.KafkaBrokers) != 2 {
		t.Errorf("%+v", c)
	}
	c.ListenAddress = "127.0.0.1:1"
	if c.address() != c.ListenAddress {
		t.Error(c.address())
	}
	c.ListenAddress = "256.0.0.1:1"
	if err := Run(t.Context(), nil, c, slog.Default()); err == nil {
		t.Error("listens nowhere")
	}
}
