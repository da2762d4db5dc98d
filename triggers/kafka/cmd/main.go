// Command kafka is the batch trigger: it posts what it reads from Kafka topics
// to a sink. Its settings are those of kafka.Config, by environment.
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/millrace/millrace/triggers/kafka"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	if err := run(log); err != nil {
		log.Error("trigger failed", "cause", err)
		os.Exit(1)
	}
}

func run(log *slog.Logger) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg, err := kafka.FromEnvironment()
	if err != nil {
		return err
	}
	trigger, err := kafka.New(cfg, log)
	if err != nil {
		return err
	}
	return trigger.Serve(ctx)
}
