package kafka

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/millrace/millrace/shared/server"
)

// Handler serves /health/liveness (the process runs), /health/readiness (it is
// a member of its group) and /metrics.
func (t *Trigger) Handler() http.Handler {
	mux := http.NewServeMux()
	server.Health(context.Background(), mux, func(context.Context) error {
		if !t.joined.Load() {
			return errors.New("not in the consumer group")
		}
		return nil
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(t.metrics.registry, promhttp.HandlerOpts{}))
	return mux
}

// Serve runs the trigger with its health and metrics endpoints until ctx ends.
func (t *Trigger) Serve(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", t.cfg.ListenAddress)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	web := server.New(t.Handler(), 10*time.Second)
	served := make(chan error, 1)
	go func() {
		defer stop() // without its endpoints the process is of no use
		served <- web.Serve(listener)
	}()
	t.log.Info("trigger started", "namespace", t.cfg.Namespace, "name", t.cfg.Name, "topics", t.cfg.Topics,
		"group", t.cfg.Group, "sink", t.cfg.sinkName(), "address", listener.Addr().String())

	err = t.Run(ctx)
	_ = web.Close() // last, so that the drain can be watched
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	t.log.Info("trigger stopped")
	return err
}
