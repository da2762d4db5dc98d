package runtime

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/millrace/millrace/shared/binding"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/kafka"
	"github.com/millrace/millrace/shared/outbox"
	"github.com/millrace/millrace/shared/postgres"
	"github.com/millrace/millrace/shared/server"
	"github.com/millrace/millrace/shared/trace"
	"github.com/millrace/millrace/shared/views"
)

// buckets is over how many rows an aggregate that everybody touches is spread.
const buckets = 64

// began is when the process did, but for the few milliseconds before Go runs.
var began = time.Now()

// Main runs the process of a function until SIGTERM or an interrupt.
func Main(fn function.Definition) {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil)).With("function", fn.FunctionName())
	views.LogTo(log)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	config, err := ParseConfig()
	if err = errors.Join(fn.Check(), err); err == nil {
		if config.Service != "" {
			log = log.With("service", config.Service, "revision", config.Revision)
		}
		err = Run(ctx, fn, config, log)
	}
	if err != nil {
		log.Error("stopped", "error", postgres.Redact(err.Error()))
		os.Exit(1) //nolint:gocritic // nothing is left to be stopped
	}
}

// Run runs a function until ctx ends, and then finishes the requests it has.
func Run(ctx context.Context, fn function.Definition, config Config, log *slog.Logger) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", config.Address())
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	pool, err := postgres.Open(ctx, config.Postgres)
	if err != nil {
		return err
	}
	defer pool.Close()
	producer, err := outbox.NewProducer(config.KafkaBrokers, kafka.ProducerConfig("millrace-relay", config.Kafka))
	if err != nil {
		return err
	}
	defer producer.Close() //nolint:errcheck // what it did not send lies in the outbox

	tracer, err := trace.Open(config.Trace, cmp.Or(config.Service, fn.FunctionName()), log)
	if err != nil {
		return err
	}
	defer tracer.Close()

	var processor *Processor
	relay := outbox.NewRelay(outbox.RelayConfig{
		Pool: pool, Producer: producer, Functions: []function.Definition{fn}, Log: log, Tracer: tracer,
		OpenRedis: func(ctx context.Context) (redis.UniversalClient, error) { return views.Open(ctx, config.RedisURL) },
		Drain:     func(ctx context.Context, _ string, s outbox.Stream) error { return processor.Drain(ctx, s) },
	})
	defer relay.Close() //nolint:errcheck // nothing is written any more
	processor = NewProcessor(fn, pool, config.Limits, log, relay.Offer)
	processor.TraceTo(tracer)
	s := newProcess(processor, config)
	s.metrics.registry.MustRegister(relay.Collector())
	return serve(ctx, listener, s, relay, pool, log)
}

// process is a function at work.
type process struct {
	intake  *intake
	config  Config
	metrics *metrics
	running sync.WaitGroup
}

func newProcess(p *Processor, config Config) *process {
	in := &intake{
		fn: p.fn, adopt: p.adopt, config: config, seed: maphash.MakeSeed(),
		reader:    binding.NewReader(config.Requests),
		admission: newAdmission(config.QueueEvents, config.TenantShare),
	}
	s := &process{intake: in, config: config, metrics: newMetrics(p.fn.FunctionName(), in.admission)}
	p.observe = s.metrics.observe
	// Processes of one function start at different buckets, so that they seldom
	// add to the same rows.
	first := rand.IntN(buckets)
	for n := range config.Shards {
		in.shards = append(in.shards, newShard(p, (first+n)%buckets, config.MaxBatch, config.RequestTimeout/2, in.admission))
	}
	return s
}

func (s *process) start() {
	for _, shard := range s.intake.shards {
		s.running.Go(shard.run)
	}
}

func (s *process) stop() {
	for _, shard := range s.intake.shards {
		shard.stop()
	}
	s.running.Wait()
}

func serve(ctx context.Context, listener net.Listener, s *process, relay *outbox.Relay, pool *pgxpool.Pool, log *slog.Logger) error {
	s.start()
	relayContext, stopRelay := context.WithCancel(context.Background())
	defer stopRelay()
	var relaying sync.WaitGroup
	relaying.Go(func() { relay.Run(relayContext) })
	relaying.Go(func() { s.watchBacklog(relayContext, relay, log) })

	log.Info("ready", "address", listener.Addr().String(), "took", time.Since(began).String())
	web := server.New(s.handler(ctx, pool), s.config.RequestTimeout+10*time.Second)
	err := server.Serve(ctx, listener, web, s.config.DrainTimeout)
	s.stop()
	stopRelay() // what was offered is told first
	relaying.Wait()
	return err
}

func (s *process) handler(stopping context.Context, pool *pgxpool.Pool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/{$}", s.intake)
	mux.HandleFunc("/call", s.intake.serveCall)
	server.Health(stopping, mux, func(ctx context.Context) error { return postgres.Check(ctx, pool) })
	mux.Handle("GET /metrics", s.metrics.handler())
	return mux
}

// watchBacklog closes intake while too much is still to be told to Kafka.
func (s *process) watchBacklog(ctx context.Context, relay *outbox.Relay, log *slog.Logger) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	closed := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		n, err := relay.Backlog(ctx, s.intake.fn.FunctionName(), s.config.EmitBacklog)
		if err != nil {
			continue // without the database there is no intake anyway
		}
		if full := n >= s.config.EmitBacklog; full != closed {
			closed = full
			log.Warn("intake", "closed", closed, "backlog", n)
			s.intake.admission.setClosed(closed)
		}
	}
}
