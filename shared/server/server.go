// Package server is the HTTP side of a process: health endpoints for the
// platform, limits against slow clients, and the drain.
//
// What a crash does: requests in progress get no answer, so whoever sent them
// sends them again.
package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Health adds GET /health/liveness, which says that the process runs, and
// GET /health/readiness, which says whether it can work: not while it is
// stopping, and not while check fails. The text of check's error is shown.
func Health(stopping context.Context, mux *http.ServeMux, check func(context.Context) error) {
	mux.HandleFunc("GET /health/liveness", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /health/readiness", func(w http.ResponseWriter, r *http.Request) {
		if stopping.Err() != nil {
			http.Error(w, "draining", http.StatusServiceUnavailable)
			return
		}
		if err := check(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
}

// New returns a server with limits; read bounds the time to read a request.
func New(handler http.Handler, read time.Duration) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       read,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}

// Serve serves until ctx ends, and then lets the requests in progress end, for
// at most the time of drain. It fails if serving ends before, or if requests
// had to be broken off.
func Serve(ctx context.Context, listener net.Listener, web *http.Server, drain time.Duration) error {
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := web.Shutdown(draining); err != nil {
		return errors.Join(fmt.Errorf("draining: %w", err), web.Close())
	}
	return nil
}
