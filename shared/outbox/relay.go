package outbox

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/trace"
	"github.com/millrace/millrace/shared/views"
)

// RelayConfig says what a Relay works with. The durations and sizes have
// defaults.
type RelayConfig struct {
	Pool *pgxpool.Pool
	// Redis shows the views. If it is nil, OpenRedis is called when it is first
	// needed, again and again until it succeeds: a process may start before its
	// Redis.
	Redis     redis.UniversalClient
	OpenRedis func(ctx context.Context) (redis.UniversalClient, error)
	// Producer puts records into Kafka.
	Producer Publisher
	// Functions are those whose claims this relay publishes.
	Functions []function.Definition
	// Drain decides parked events of a stream that are ready. Without it they
	// are left to another relay.
	Drain func(ctx context.Context, functionName string, s Stream) error
	Log   *slog.Logger
	// Tracer, if it is not nil, is told what was told of events that are followed.
	Tracer *trace.Tracer

	// QueueBytes bounds the memory of claims that were offered and not yet
	// published, by an estimate. More is left to the sweeper. 64 MiB.
	QueueBytes int
	// Grace is how long Run goes on with what was offered after its context
	// ended. 10 s.
	Grace time.Duration
	// Keep is after what time, and then how often, Run tells sweepers that it still
	// has a claim. 2 s.
	Keep time.Duration
	// Lease is how long a row that a sweep took is left alone by other sweeps,
	// and so the time after which what failed is tried again. 15 s.
	Lease time.Duration
	// Timeout bounds one exchange with Redis or PostgreSQL. 5 s.
	Timeout time.Duration
	// DrainTimeout bounds the draining of one stream. 30 s.
	DrainTimeout time.Duration
	// BackOff is for how long an unreachable Redis or Kafka is not asked again
	// for offered claims: it doubles up to 30 times this. 1 s.
	BackOff time.Duration
}

// Relay tells Redis and Kafka what committed transactions have to tell. It is
// safe for concurrent use, and any number of relays may work on one database:
// whatever is published twice changes nothing.
type Relay struct {
	cfg       RelayConfig
	functions map[string]function.Definition
	log       *slog.Logger
	stats     stats
	viewLag   *prometheus.HistogramVec

	// apply is views.Apply, but for tests that break it.
	apply func(context.Context, redis.UniversalClient, []views.View, views.Claim) (views.Result, error)

	redis    redisSource
	redisOut *outage
	kafkaOut *outage
	// rebuildOut keeps a rebuild that fails from being tried at every sweep.
	rebuildOut *outage
	noTimeline sync.Once
	queue      *offered
	epochs     struct {
		sync.Mutex
		known bool // the database's epoch has a number
	}
}

// NewRelay makes a relay. It connects to nothing yet.
func NewRelay(cfg RelayConfig) *Relay {
	orDefault(&cfg.QueueBytes, 64<<20)
	orDefault(&cfg.Grace, 10*time.Second)
	orDefault(&cfg.Keep, 2*time.Second)
	orDefault(&cfg.Lease, 15*time.Second)
	orDefault(&cfg.Timeout, 5*time.Second)
	orDefault(&cfg.DrainTimeout, 30*time.Second)
	orDefault(&cfg.BackOff, time.Second)
	r := &Relay{
		cfg:       cfg,
		functions: map[string]function.Definition{},
		log:       cfg.Log,
		apply:     views.Apply,
		redis:     redisSource{client: cfg.Redis, open: cfg.OpenRedis},
		redisOut:  newOutage("Redis", "views wait in the outbox", cfg.BackOff, cfg.Log),
		kafkaOut:  newOutage("Kafka", "events and dead letters wait in the outbox", cfg.BackOff, cfg.Log),
	}
	r.rebuildOut = newOutage("the rebuild of Redis", "it begins again", cfg.BackOff, cfg.Log)
	for _, fn := range cfg.Functions {
		r.functions[fn.FunctionName()] = fn
	}
	r.viewLag = newViewLag(r.functions)
	r.queue = newOffered(r)
	return r
}

func orDefault[T int | time.Duration](value *T, otherwise T) {
	if *value == 0 {
		*value = otherwise
	}
}

// Close closes the connection to Redis if the relay opened it.
func (r *Relay) Close() error {
	if r.cfg.Redis != nil {
		return nil
	}
	r.redis.mu.Lock()
	defer r.redis.mu.Unlock()
	if r.redis.client == nil {
		return nil
	}
	return r.redis.client.Close()
}

// redisSource opens Redis when it is first needed.
type redisSource struct {
	mu     sync.Mutex
	client redis.UniversalClient
	clock  *views.Clock
	open   func(ctx context.Context) (redis.UniversalClient, error)
}

func (s *redisSource) get(ctx context.Context) (redis.UniversalClient, *views.Clock, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client == nil {
		if s.open == nil {
			return nil, nil, errors.New("the relay has no Redis")
		}
		client, err := s.open(ctx)
		if err != nil {
			return nil, nil, err
		}
		s.client = client
	}
	if s.clock == nil {
		s.clock = views.NewClock(s.client)
	}
	return s.client, s.clock, nil
}

// ensureEpoch sees to it once that the database's epoch has a number.
func (r *Relay) ensureEpoch(ctx context.Context) error {
	r.epochs.Lock()
	defer r.epochs.Unlock()
	if r.epochs.known {
		return nil
	}
	_, err := Epoch(ctx, r.cfg.Pool)
	if err != nil && !errors.Is(err, ErrNoTimeline) {
		return err
	}
	r.epochs.known = true
	return nil
}
