package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/millrace/millrace/shared/binding"
	"github.com/millrace/millrace/shared/kafka"
	"github.com/millrace/millrace/shared/server"
	"github.com/millrace/millrace/shared/trace"
)

// Gateway takes events by HTTP.
type Gateway struct {
	config   Config
	log      *slog.Logger
	access   *access // nil: everybody may everything
	reader   *binding.Reader
	room     *semaphore.Weighted // requests in flight
	producer *producer
	caller   *http.Client
	metrics  *metrics
	tracer   *trace.Tracer
	maxEvent int
}

// New makes a gateway of a valid configuration; it connects to nothing yet.
func New(config Config, log *slog.Logger) (*Gateway, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	access, err := newAccess(config.OIDC)
	if err != nil {
		return nil, err
	}
	settings := kafka.ProducerConfig("millrace-http", config.Security)
	settings.Metadata.Timeout = config.RequestTimeout // for connecting
	if err := settings.Validate(); err != nil {
		return nil, fmt.Errorf("a Kafka producer: %w", err)
	}
	tracer, err := trace.Open(config.Trace, cmp.Or(config.Service, "http"), log)
	if err != nil {
		return nil, err
	}
	return &Gateway{
		tracer: tracer, config: config, log: log, access: access, metrics: newMetrics(), caller: newCaller(),
		reader: binding.NewReader(config.Requests), room: semaphore.NewWeighted(int64(config.InFlight)),
		producer: &producer{brokers: config.Brokers, config: settings, turn: make(chan struct{}, 1)},
		maxEvent: min(config.Requests.MaxEventBytes, kafka.MaxMessageBytes),
	}, nil
}

// Run serves until ctx ends, and then lets the requests in flight end.
func (g *Gateway) Run(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", g.config.address())
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	var subscriber net.Listener
	if g.config.SubscriberAddress != "" {
		if subscriber, err = new(net.ListenConfig).Listen(ctx, "tcp", g.config.SubscriberAddress); err != nil {
			return errors.Join(fmt.Errorf("listening for a broker's trigger: %w", err), listener.Close())
		}
	}
	return g.serveOn(ctx, listener, subscriber)
}

func (g *Gateway) serveOn(ctx context.Context, listener, subscriber net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop() // one that fails ends the other
	defer context.AfterFunc(ctx, func() { g.log.Info("draining") })()
	g.announce(listener, subscriber)
	var serving sync.WaitGroup
	var failed error
	if subscriber != nil {
		serving.Go(func() {
			defer stop()
			failed = g.listen(ctx, subscriber, g.SubscriberHandler(ctx), brokerHeader)
		})
	}
	err := g.listen(ctx, listener, g.Handler(ctx), header)
	stop()
	serving.Wait()
	g.tracer.Close()
	g.log.Info("stopped") // what is still being sent, nobody waits for

	return errors.Join(err, failed)
}

func (g *Gateway) announce(listener, subscriber net.Listener) {
	g.log.Info("ready", "address", listener.Addr().String())
	if g.access == nil {
		g.log.Warn("without OIDC_ISSUER nobody is asked who they are: only this machine is served", "address", listener.Addr().String())
	}
	if subscriber != nil {
		g.log.Warn("POST / is served without authentication, for a broker's trigger: the network has to guard it", "address", subscriber.Addr().String())
	}
}

// What a header may have, in bytes. A Broker may have acknowledged an event with
// as much of it as Go's servers take: that is to become a dead letter, and not
// 431.
const (
	header       = 64 << 10
	brokerHeader = http.DefaultMaxHeaderBytes
)

func (g *Gateway) listen(ctx context.Context, listener net.Listener, handler http.Handler, header int) error {
	web := server.New(handler, g.config.ReadTimeout)
	web.MaxHeaderBytes = header
	web.ReadHeaderTimeout = g.config.HeaderTimeout
	web.WriteTimeout = g.config.ReadTimeout + g.config.RequestTimeout + 5*time.Second
	web.IdleTimeout = g.config.IdleTimeout
	web.ErrorLog = slog.NewLogLogger(g.log.Handler(), slog.LevelWarn)
	watchHeads(web)
	return server.Serve(ctx, headListener{listener, 2 * header}, web, g.config.DrainTimeout)
}
