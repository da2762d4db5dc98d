package cli

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/infra/bench"
	"github.com/millrace/millrace/infra/cli/terminal"
	"github.com/millrace/millrace/infra/traffic"
)

// benchOptions are the flags of `millrace bench`.
type benchOptions struct {
	bench.Config

	only []string
	json bool
}

func (a *app) benchCommand() *cobra.Command {
	o := benchOptions{Config: bench.Config{Traffic: traffic.Defaults()}}
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure the whole way, from Kafka to PostgreSQL and Redis",
		Long: `Starts the platform as "millrace up" does, in a folder that is removed afterwards,
and measures with every guarantee on:

  throughput  The topics are filled, then the triggers are started. The clock runs
              from the first decision until everything is committed in PostgreSQL
              and shown in Redis, with the events that follow from others. CPU
              time is told by process.
  latency     At a steady rate, half of that speed unless --rate says else, events
              about entities of their own are timed from produce until another
              session of PostgreSQL sees the decision, and until Redis shows it.

It does so --runs times, each with an empty platform, and tells the median of
each number. Kafka is kfake in this very process, and so is the measuring.

KAFKA_BROKERS, DATABASE_URL and REDIS_URL name servers to use instead. They keep
what bench writes, and nothing else may run on them meanwhile.`,
		Example: `  millrace bench
  millrace bench --only trade --events 30000
  millrace bench --events 200000 --latency 0 --check
  millrace bench --rate 1000 --latency 1m --json > bench.json`,
		Args: noArgs,
		RunE: checked(o.complete, func(ctx context.Context) error { return a.bench(ctx, o) }),
	}
	f := c.Flags()
	f.IntVar(&o.Traffic.Events, "events", 100_000, "how many events wait in the topics")
	f.IntVar(&o.Runs, "runs", 3, "how many runs")
	trafficFlags(c, &o.Traffic, &o.only)
	f.Uint64Var(&o.Traffic.Seed, "seed", 0, "the same seed measures the same events; 0 takes a new one")
	f.DurationVar(&o.Latency, "latency", 20*time.Second, "for how long latency is measured; 0 leaves it out")
	f.Float64Var(&o.Rate, "rate", 0, "events a second while latency is measured (default: half of what was reached)")
	f.BoolVar(&o.Check, "check", false, "check every invariant after each run, which takes about as long again")
	f.BoolVar(&o.json, "json", false, "print all runs and the median as JSON")
	return c
}

// complete makes a configuration of the flags and the environment.
func (o *benchOptions) complete() error {
	if o.Traffic.Seed == 0 {
		o.Traffic.Seed = uint64(rand.Uint32())
	}
	if len(o.only) > 0 {
		if err := o.Traffic.Only(o.only...); err != nil {
			return err
		}
	}
	if o.Runs < 1 || o.Traffic.Events < 1 || o.Latency < 0 || o.Rate < 0 {
		return errors.New("--runs and --events must be 1 or more, --latency and --rate 0 or more")
	}
	return o.Traffic.Validate()
}

func (a *app) bench(ctx context.Context, o benchOptions) error {
	folders, err := a.folders()
	if err != nil {
		return err
	}
	var servers upOptions
	if err := errors.Join(env.Parse(&servers), servers.Kafka.Validate()); err != nil {
		return err
	}
	if servers.Kafka.TLS || servers.Kafka.SASL {
		return errors.New("bench reaches Kafka without TLS and without a password only")
	}
	o.Root, o.Reporter = folders.Root, terminal.New(a.Err)
	o.KafkaBrokers, o.DatabaseURL, o.RedisURL = servers.KafkaBrokers, servers.DatabaseURL, servers.RedisURL
	ctx, cancel := untilStopped(ctx, servers.FollowParent)
	defer cancel()
	report, err := bench.Run(ctx, o.Config)
	if err != nil && ctx.Err() != nil {
		fmt.Fprintln(a.Err, "Stopped before it was measured.")
		return errSilent
	}
	if err != nil {
		return err
	}
	if !o.json {
		fmt.Fprint(a.Out, "\n", report.String())
		return nil
	}
	return a.writeJSON(report)
}
