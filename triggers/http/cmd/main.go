// Command http is the way in by HTTP. Its settings are those of gateway.Config,
// by environment.
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	gateway "github.com/millrace/millrace/triggers/http"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	if err := run(log); err != nil {
		log.Error("stopped", "error", err)
		os.Exit(1)
	}
}

func run(log *slog.Logger) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	config, err := gateway.FromEnvironment()
	if err != nil {
		return err
	}
	g, err := gateway.New(config, log)
	if err != nil {
		return err
	}
	return g.Run(ctx)
}
