package kafka

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Handler serves /health/liveness (the process runs), /health/readiness (it is
// a member of its group) and /metrics.
func (t *Trigger) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health/liveness", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /health/readiness", func(w http.ResponseWriter, _ *http.Request) {
		if !t.joined.Load() {
			http.Error(w, "not in the consumer group", http.StatusServiceUnavailable)
		}
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
	server := &http.Server{Handler: t.Handler(), ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.log.Info("trigger started", "namespace", t.cfg.Namespace, "name", t.cfg.Name, "topics", t.cfg.Topics,
		"group", t.cfg.Group, "sink", t.cfg.sinkName(), "address", listener.Addr().String())

	err = t.Run(ctx)
	_ = server.Close() // last, so that the drain can be watched
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	t.log.Info("trigger stopped")
	return err
}
