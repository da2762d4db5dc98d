package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/infra/cli/terminal"
	"github.com/millrace/millrace/infra/platform"
	"github.com/millrace/millrace/infra/stack/process"
	"github.com/millrace/millrace/shared/kafka"
)

// upOptions is the configuration of `millrace up`.
type upOptions struct {
	// KafkaBrokers, DatabaseURL and RedisURL name servers that exist already.
	KafkaBrokers []string `env:"KAFKA_BROKERS"`
	Kafka        kafka.Security
	DatabaseURL  string `env:"DATABASE_URL"`
	RedisURL     string `env:"REDIS_URL"`
	// Postgres is a folder of PostgreSQL's programs, or "embedded".
	Postgres string `env:"MILLRACE_POSTGRES"`
	// FollowParent stops the platform when the process that started it ends:
	// a task runner that is killed does not pass it on.
	FollowParent bool `env:"MILLRACE_FOLLOW_PARENT"`

	kafkaPort, postgresPort, redisPort, functionsPort int
}

func (a *app) upCommand() *cobra.Command {
	var o upOptions
	c := &cobra.Command{
		Use:   "up",
		Short: "Run the whole platform on this machine until Ctrl-C",
		Long: `Starts Kafka, PostgreSQL and Redis, applies migrations and makes topics, then
builds and starts the functions, a batch trigger for each, the relay, and the
way in by HTTP, as processes of their own. It stays until Ctrl-C, which drains and stops them all.
Data stays in ` + platform.DataFolder + `/ and is there at the next start.

Each part is taken from the environment if it is set there:

  KAFKA_BROKERS   host:port,...           else kfake, a Kafka in this process
  DATABASE_URL    postgres://... (13+)    else a PostgreSQL server: local programs
                                          if found, else downloaded once
  REDIS_URL       redis://... (6.2+)      else redis-server if found, else
                                          miniredis in this process

MILLRACE_POSTGRES=embedded, or a folder, chooses PostgreSQL's programs.
Every process logs to ` + platform.DataFolder + `/log/<name>.log.`,
		Example: `  millrace up
  millrace up --kafka-port 29092 --postgres-port 25432
  DATABASE_URL=postgres://me@db.internal/millrace millrace up`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := errors.Join(env.Parse(&o), o.Kafka.Validate()); err != nil {
				return err
			}
			return a.up(c.Context(), o)
		},
	}
	c.Flags().IntVar(&o.kafkaPort, "kafka-port", 19092, "first of three ports for Kafka's brokers; 0 takes free ones")
	c.Flags().IntVar(&o.postgresPort, "postgres-port", 15432, "port for PostgreSQL; 0 takes a free one")
	c.Flags().IntVar(&o.redisPort, "redis-port", 16379, "port for Redis; 0 takes a free one")
	c.Flags().IntVar(&o.functionsPort, "functions-port", platform.DefaultFunctionsPort, "first port for functions, triggers (100 above), the relay and HTTP; 0 takes free ones")
	return c
}

func (a *app) up(ctx context.Context, o upOptions) error {
	folders, err := a.folders()
	if err == nil && folders.Root == "" { // --dir alone is not enough: functions are built
		_, err = platform.FindRoot(".")
	}
	if err != nil {
		return err
	}
	ctx, cancel := untilStopped(ctx, o.FollowParent)
	defer cancel()
	began := time.Now()
	p, err := platform.Start(ctx, platform.Config{
		Folders:      folders,
		KafkaBrokers: o.KafkaBrokers, Kafka: o.Kafka, DatabaseURL: o.DatabaseURL, RedisURL: o.RedisURL,
		KafkaPort: o.kafkaPort, PostgresPort: o.postgresPort, RedisPort: o.redisPort, FunctionsPort: o.functionsPort,
		PostgresPrograms: o.Postgres,
		Reporter:         terminal.New(a.Out),
	})
	// What a step says that was broken off is of no interest.
	if err != nil && ctx.Err() != nil {
		fmt.Fprintln(a.Out, "Stopped before everything was up.")
		return errSilent
	}
	if err != nil {
		return a.elsewhere(err, o)
	}
	a.welcome(p.Addresses, folders, time.Since(began))
	<-ctx.Done()
	fmt.Fprintln(a.Out, "\nStopping. Once more Ctrl-C ends everything at once; what was not done comes again from Kafka.")
	if err := p.Stop(); err != nil {
		return err
	}
	fmt.Fprintf(a.Out, "Stopped. The data is in %s.\n", shorten(folders.Data))
	return nil
}

// untilStopped returns a context that ends at the first signal to stop. The
// second ends the process, and the kernel its children.
func untilStopped(ctx context.Context, followParent bool) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	// A reader of the output that goes away is no reason to die at once. (To
	// ignore the signal would make the children ignore it too.)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-signals
		cancel()
		<-signals
		os.Exit(1)
	}()
	if followParent {
		go func() {
			awaitOrphaned(ctx)
			cancel()
		}()
	}
	return ctx, func() { signal.Stop(signals); cancel() }
}

// awaitOrphaned returns when the parent of this process has ended, or the `go
// tool` that runs it: when that is killed its child goes on.
func awaitOrphaned(ctx context.Context) {
	parent := os.Getppid()
	above := process.Parent(parent)
	if !strings.Contains(process.CommandLine(above), "go tool") {
		above = 0
	}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for os.Getppid() == parent && (above == 0 || process.Running(above)) {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
