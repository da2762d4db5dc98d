// Command maintain does what `millrace maintain` does, once, with settings from
// the environment: those of [maintenance.Settings]. It can bring the database to
// the newest schema before, since a new database needs its months at once.
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/millrace/millrace/infra/maintenance"
	"github.com/millrace/millrace/infra/migrations"
	"github.com/millrace/millrace/shared/postgres"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	if err := run(ctx, log); err != nil {
		log.Error("stopped", "error", postgres.Redact(err.Error()))
		os.Exit(1) //nolint:gocritic // nothing is left to be stopped
	}
}

func run(ctx context.Context, log *slog.Logger) error {
	s, err := maintenance.FromEnvironment()
	if err != nil {
		return err
	}
	if s.Migrate {
		if err := migrations.Up(ctx, s.DatabaseURL); err != nil {
			return err
		}
		log.Info("the database has the newest schema")
	}
	s.Tell = func(d maintenance.Done) { log.Info(d.String(), "table", d.Table) }
	return maintenance.Run(ctx, s.DatabaseURL, s.Config)
}
