package scenario

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/function/functiontest"
	"github.com/millrace/millrace/shared/outbox"
	"github.com/millrace/millrace/shared/runtime"
	"github.com/millrace/millrace/shared/views"
)

// World is one function at work on a database and a Redis of its own.
type World struct {
	fn        function.Definition
	pool      *pgxpool.Pool
	redis     redis.UniversalClient
	processor *runtime.Processor
	relay     *outbox.Relay
	kafka     recorder

	mu     sync.Mutex
	claims []outbox.Claim
}

// New returns a world at work on the given database, which has all migrations,
// and Redis. Others may be at work on them too.
func New(t *testing.T, fn function.Definition, databaseURL, redisURL string, limits runtime.Limits) *World {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	// What depends on the session's time zone shows.
	cfg.ConnConfig.RuntimeParams["timezone"] = "Pacific/Auckland"
	w := &World{fn: fn}
	if w.pool, err = pgxpool.NewWithConfig(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.pool.Close)
	if w.redis, err = views.Open(t.Context(), redisURL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.redis.Close() })
	log := slog.New(slog.DiscardHandler)
	w.processor = runtime.NewProcessor(fn, w.pool, limits, log, w.offer)
	w.relay = outbox.NewRelay(outbox.RelayConfig{
		Pool: w.pool, Redis: w.redis, Producer: &w.kafka, Functions: []function.Definition{fn}, Log: log,
		Drain: func(ctx context.Context, _ string, s outbox.Stream) error { return w.processor.Drain(ctx, s) },
	})
	return w
}

// Function returns the function that is at work.
func (w *World) Function() function.Definition { return w.fn }

func (w *World) offer(c outbox.Claim) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.claims = append(w.claims, c)
}

// Send decides events as one request, and returns what became of each.
func (w *World) Send(ctx context.Context, t functiontest.TB, events []event.Received) []runtime.Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	outcomes, err := w.processor.Process(ctx, events)
	if err != nil {
		t.Fatalf("processing: %v", err)
	}
	return outcomes
}

// Relay tells Redis and Kafka all that was committed, and drains.
func (w *World) Relay(ctx context.Context, t functiontest.TB) {
	t.Helper()
	for {
		w.mu.Lock()
		claims := w.claims
		w.claims = nil
		w.mu.Unlock()
		if len(claims) == 0 {
			return
		}
		if err := w.relay.Publish(ctx, claims); err != nil {
			t.Fatalf("relaying: %v", err)
		}
	}
}

// recorder is the Kafka of a world.
type recorder struct {
	mu       sync.Mutex
	messages []outbox.Message
}

// Publish implements outbox.Publisher.
func (r *recorder) Publish(_ context.Context, messages []outbox.Message) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, messages...)
	return nil
}

// Published relays, and returns what went to Kafka since the last time.
func (w *World) Published(ctx context.Context, t functiontest.TB) []outbox.Message {
	t.Helper()
	w.Relay(ctx, t)
	w.kafka.mu.Lock()
	defer w.kafka.mu.Unlock()
	messages := w.kafka.messages
	w.kafka.messages = nil
	return messages
}
