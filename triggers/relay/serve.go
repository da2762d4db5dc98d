package relay

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/redis/go-redis/v9"

	"github.com/millrace/millrace/shared/fault"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/kafka"
	"github.com/millrace/millrace/shared/outbox"
	"github.com/millrace/millrace/shared/postgres"
	"github.com/millrace/millrace/shared/runtime"
	"github.com/millrace/millrace/shared/server"
	"github.com/millrace/millrace/shared/trace"
	"github.com/millrace/millrace/shared/views"
)

// Run runs the relay of functions until ctx ends, and then finishes what it is
// publishing. It needs none of its servers to start.
func Run(ctx context.Context, functions []function.Definition, c Config, log *slog.Logger) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.address())
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	return serve(ctx, listener, functions, c, log)
}

func serve(ctx context.Context, listener net.Listener, functions []function.Definition, c Config, log *slog.Logger) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	pool, err := postgres.Open(ctx, c.Postgres)
	if err != nil {
		return err
	}
	defer pool.Close()
	producer, err := outbox.NewProducer(c.KafkaBrokers, kafka.ProducerConfig("millrace-relay", c.Kafka))
	if err != nil {
		return err
	}
	defer producer.Close() //nolint:errcheck // what it did not send lies in the outbox
	tracer, err := trace.Open(c.Trace, "relay", log)
	if err != nil {
		return err
	}
	defer tracer.Close()
	relay := newRelay(pool, producer, functions, c, tracer, log)
	defer relay.Close() //nolint:errcheck // nothing is written any more
	s := &sweeper{relay: relay, olderThan: c.OlderThan, limit: c.BatchRows, log: log, metrics: newMetrics(relay, newBacklog(pool, functions))}

	// A sweep that is told to stop finishes the rows that it has; what draining
	// left is offered by then, so offers are published last.
	offers, stopOffers := context.WithCancel(context.WithoutCancel(ctx))
	defer stopOffers()
	var offering, sweeping sync.WaitGroup
	offering.Go(func() { relay.Run(offers) })
	if c.Interval > 0 {
		sweeping.Go(func() { s.every(ctx, c.Interval) })
	}
	log.Info("ready", "address", listener.Addr().String(), "interval", c.Interval.String())
	web := server.New(s.handler(ctx, pool), 20*time.Second)
	// A sweep that was asked for stops when the process is told to.
	web.BaseContext = func(net.Listener) context.Context { return ctx }
	err = server.Serve(ctx, listener, web, c.DrainTimeout)
	stop()
	sweeping.Wait()
	stopOffers()
	offering.Wait()
	log.Info("stopped")
	return err
}

// newRelay makes a relay whose parked events are decided as the functions
// decide theirs.
func newRelay(pool *pgxpool.Pool, producer outbox.Publisher, functions []function.Definition, c Config, tracer *trace.Tracer, log *slog.Logger) *outbox.Relay {
	processors := map[string]*runtime.Processor{}
	relay := outbox.NewRelay(outbox.RelayConfig{
		Pool: pool, Producer: producer, Functions: functions, Log: log, Tracer: tracer, Lease: c.Lease, Grace: c.DrainTimeout / 2,
		OpenRedis: func(ctx context.Context) (redis.UniversalClient, error) { return views.Open(ctx, c.RedisURL) },
		Drain: func(ctx context.Context, name string, s outbox.Stream) error {
			return processors[name].Drain(ctx, s)
		},
	})
	for _, fn := range functions {
		processors[fn.FunctionName()] = runtime.NewProcessor(fn, pool, c.Limits, log, relay.Offer)
		processors[fn.FunctionName()].TraceTo(tracer)
	}
	return relay
}

// maxBody is what a request may bring: an event that says it is time. Nothing
// in it is read.
const maxBody = 64 << 10

func (s *sweeper) handler(stopping context.Context, pool *pgxpool.Pool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{$}", s.serveSweep)
	mux.HandleFunc("POST /sweep", s.serveSweep)
	server.Health(stopping, mux, func(ctx context.Context) error { return postgres.Check(ctx, pool) })
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	return mux
}

// serveSweep answers when the sweep has ended, since a process without requests
// may be scaled down: 204; 202 if one is going on already; 503 if something is
// left that should not be, which the next sweep tries again.
func (s *sweeper) serveSweep(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
		fault.Write(w, fault.New(fault.TooLarge, "the event that asks for a sweep may have %d bytes", maxBody))
		return
	}
	swept, err := s.sweep(r.Context())
	switch {
	case err != nil:
		fault.Write(w, fault.New(fault.Unavailable, "something is left in the outbox"))
	case !swept:
		w.WriteHeader(http.StatusAccepted)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}
