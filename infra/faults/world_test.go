package faults

import (
	"context"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/caarlos0/env/v11"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/millrace/millrace/infra/faults/proxy"
	"github.com/millrace/millrace/infra/invariants"
	"github.com/millrace/millrace/infra/stack"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/shared/views"
	"github.com/millrace/millrace/triggers/kafka"
)

// world is some functions of Millrace, each a process, with proxies before all
// that they talk to. The triggers run in the test's process. The relay is a
// process too, when it is asked for, and has proxies of its own.
type world struct {
	databaseURL     string // past the proxy
	brokers         string
	redisURL        string // through the proxy, if there is one
	postgres, redis *proxy.Proxy
	relay           struct{ postgres, redis *proxy.Proxy }
	functions       map[string]*member
	deps            invariants.Deps
	mu              sync.Mutex
	sent            []invariants.Sent
	running         sync.WaitGroup
	end             context.Context
}

// member is a function of the world.
type member struct {
	address string // where its process listens
	door    *proxy.Proxy
	process *process

	stopTrigger func()
}

// stores are the servers of a world; empty ones are made.
type stores struct{ databaseURL, redisURL string }

// newWorld makes a world of functions, all of them started.
func newWorld(t *testing.T, s stores, names ...string) *world {
	t.Helper()
	w := &world{databaseURL: s.databaseURL, functions: map[string]*member{}}
	if w.databaseURL == "" {
		w.databaseURL = stacktest.Postgres(t)
	}
	brokers := stacktest.Kafka(t)
	w.brokers = strings.Join(brokers, ",")
	w.postgres, w.relay.postgres = newProxy(t, w.databaseURL, proxy.PostgreSQL), newProxy(t, w.databaseURL, proxy.PostgreSQL)
	if w.redisURL = s.redisURL; w.redisURL == "" {
		direct := stacktest.Redis(t)
		w.redis, w.relay.redis = newProxy(t, direct, proxy.Redis), newProxy(t, direct, proxy.Redis)
		w.redisURL = through(direct, w.redis)
		s.redisURL = direct
	}
	w.deps = invariants.Deps{Pool: openPool(t, w.databaseURL), Redis: openRedis(t, s.redisURL), Brokers: brokers, ConsumerGroups: map[string]string{}}
	var cancel context.CancelFunc
	w.end, cancel = context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		w.running.Wait()
	})
	for _, name := range names {
		w.add(t, name)
	}
	for _, name := range names {
		w.start(t, name)
	}
	return w
}

func newProxy(t *testing.T, server string, protocol proxy.Protocol) *proxy.Proxy {
	t.Helper()
	target := server
	if u, err := url.Parse(server); err == nil && u.Host != "" {
		target = u.Host
	}
	p, err := proxy.Start(target, protocol)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// through is the URL of a server behind a proxy.
func through(server string, p *proxy.Proxy) string {
	u, err := url.Parse(server)
	if err != nil {
		panic(err) // a server was started by it
	}
	u.Host = p.Address()
	return u.String()
}

func (w *world) through(p *proxy.Proxy) string { return through(w.databaseURL, p) }

func openPool(t *testing.T, dsn string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func openRedis(t *testing.T, address string) redis.UniversalClient {
	t.Helper()
	client, err := views.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// add makes a function known, with its trigger.
func (w *world) add(t *testing.T, name string) {
	t.Helper()
	m := &member{address: freeAddress(t)}
	m.door = newProxy(t, m.address, proxy.Raw)
	w.functions[name] = m
	topic := topics.Events(name)
	w.deps.Functions = append(w.deps.Functions, definition(name))
	w.deps.ConsumerGroups[topic] = "millrace-" + topic
	w.startTrigger(t, name)
}

// startTrigger starts the trigger of a function.
func (w *world) startTrigger(t *testing.T, name string) {
	t.Helper()
	m, topic := w.functions[name], topics.Events(name)
	config, err := env.ParseAsWithOptions[kafka.Config](env.Options{Environment: map[string]string{
		"KAFKA_BROKERS": w.brokers, "KAFKA_TOPICS": topic, "KAFKA_CONSUMER_GROUP": w.deps.ConsumerGroups[topic],
		"K_SINK": "http://" + m.door.Address(), "COMMIT_INTERVAL": "100ms", "RETRY_MAX_BACKOFF": "500ms",
	}})
	if err != nil {
		t.Fatal(err)
	}
	trigger, err := kafka.New(config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.end)
	ended := make(chan struct{})
	m.stopTrigger = func() {
		cancel()
		<-ended
	}
	w.running.Go(func() {
		defer close(ended)
		if err := trigger.Run(ctx); err != nil {
			t.Errorf("the trigger of %s: %v", name, err)
		}
	})
}

// startRelay starts a relay that sweeps everything at once and again and again.
func (w *world) startRelay(t *testing.T) *process {
	t.Helper()
	redisURL := w.redisURL
	if w.relay.redis != nil {
		redisURL = through(redisURL, w.relay.redis)
	}
	return launch(t, os.Args[0], relayName, freeAddress(t), play+"="+relayName,
		"DATABASE_URL="+w.through(w.relay.postgres), "REDIS_URL="+redisURL, "KAFKA_BROKERS="+w.brokers,
		"RELAY_INTERVAL=100ms", "RELAY_OLDER_THAN=0s", "RELAY_LEASE=1s")
}

func freeAddress(t *testing.T) string {
	t.Helper()
	port, err := stack.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// heavy skips what takes ten seconds or more, but in `go tool task faults`, which
// CI runs.
func heavy(t *testing.T) {
	t.Helper()
	if os.Getenv("MILLRACE_FAULTS") == "" {
		t.Skip("NOT RUN HERE: it takes long; `go tool task faults` runs it")
	}
}
