// Command ingress is TEST EQUIPMENT. It stands in for Knative's networking layer
// (Kourier, Istio, Contour) in the test cluster, where none of those can be had:
// it routes what KIngress resources say, and marks them ready. It knows no TLS, no
// HTTP/2, and runs as one process.
package main

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if err := run(); err != nil {
		slog.Error("ingress", "error", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	watcher, err := watch(ctx)
	if err != nil {
		return err
	}
	ended := make(chan error, 2)
	servers := []*http.Server{
		// From outside, only what its owner opens to the world.
		serve(":8080", proxy(watcher, false), ended),
		serve(":8081", proxy(watcher, true), ended),
	}
	select {
	case err = <-ended:
	case <-ctx.Done():
	}
	for _, server := range servers {
		shutdown(server)
	}
	return err
}

func serve(address string, handler http.Handler, ended chan<- error) *http.Server {
	server := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() { ended <- server.ListenAndServe() }()
	return server
}

func shutdown(server *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_ = server.Shutdown(ctx) // what is cut off is test equipment's
}
