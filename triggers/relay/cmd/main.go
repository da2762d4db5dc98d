// Command relay sweeps the outbox. Its settings are those of relay.Config, by
// environment.
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/millrace/millrace/functions"
	"github.com/millrace/millrace/shared/postgres"
	"github.com/millrace/millrace/shared/views"
	"github.com/millrace/millrace/triggers/relay"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	views.LogTo(log)
	if err := run(ctx, log); err != nil {
		log.Error("stopped", "error", postgres.Redact(err.Error()))
		os.Exit(1) //nolint:gocritic // nothing is left to be stopped
	}
}

func run(ctx context.Context, log *slog.Logger) error {
	config, err := relay.FromEnvironment()
	if err != nil {
		return err
	}
	return relay.Run(ctx, functions.All(), config, log)
}
