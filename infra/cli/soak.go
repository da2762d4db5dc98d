package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/infra/cli/terminal"
	"github.com/millrace/millrace/infra/soak"
	"github.com/millrace/millrace/infra/traffic"
)

func (a *app) soakCommand() *cobra.Command {
	o := soak.Config{Traffic: traffic.Defaults()}
	o.Traffic.Sequences = true
	o.Traffic.Duplicates, o.Traffic.Reorder, o.Traffic.Gaps, o.Traffic.OpenGaps, o.Traffic.Poison = 0.02, 0.02, 0.005, 0.01, 0.002
	c := &cobra.Command{
		Use:   "soak",
		Short: "Kill and cut everything under traffic, and prove that nothing is lost or doubled",
		Long: `Starts the platform as "millrace up" does, in a folder that is removed afterwards,
and sends it traffic with duplicates, reordering, gaps and poison. Meanwhile
processes are killed, told to end and frozen; PostgreSQL and Redis are killed,
emptied and cut off; Kafka's partitions and groups move.

Once all is at rest it says how many events were lost (0) and took effect twice
(0), and whether Kafka, PostgreSQL and Redis agree. If not, it prints the seed,
every fault with its moment and what is broken, and keeps the logs; the exit
status is 1. The same seed sends the same events, with the same faults after the
same records.`,
		Example: `  millrace soak
  millrace soak --events 1000000 --every 4500 --seed 7
  millrace soak --events 0 --for 8h`,
		Args: noArgs,
		RunE: checked(func() error { return completeSoak(&o) }, func(ctx context.Context) error { return a.soak(ctx, o) }),
	}
	f := c.Flags()
	f.IntVar(&o.Traffic.Events, "events", 100_000, "end after so many events; 0: only --for does")
	f.DurationVar(&o.For, "for", 0, "end the traffic after so long")
	f.IntVar(&o.Every, "every", 2500, "records between two faults, in the mean")
	f.Uint64Var(&o.Traffic.Seed, "seed", 0, "the same seed sends the same events and chooses the same faults; 0 takes a new one")
	f.DurationVar(&o.Patience, "patience", 5*time.Minute, "for how long rest is waited for after the last record")
	return c
}

// completeSoak checks the flags, and takes a seed where none is given.
func completeSoak(o *soak.Config) error {
	if o.Traffic.Seed == 0 {
		o.Traffic.Seed = uint64(rand.Uint32())
	}
	if o.Every < 1 || o.For < 0 || o.Patience <= 0 || o.Traffic.Events < 0 {
		return errors.New("--every must be 1 or more, --patience more than 0, --events and --for not below 0")
	}
	if o.Traffic.Events == 0 && o.For == 0 {
		return errors.New("say when it ends: --events or --for")
	}
	return o.Traffic.Validate()
}

func (a *app) soak(ctx context.Context, o soak.Config) error {
	folders, err := a.folders()
	if err != nil {
		return err
	}
	var parent struct {
		Follow bool `env:"MILLRACE_FOLLOW_PARENT"`
	}
	if err := env.Parse(&parent); err != nil {
		return err
	}
	ctx, cancel := untilStopped(ctx, parent.Follow)
	defer cancel()
	o.Traffic.Start = time.Now()
	o.Root, o.Reporter = folders.Root, terminal.New(a.Err)
	o.Begin = func() (progress func(records int, words string), done func()) {
		bar := terminal.NewBar(a.Err, "sending", cmp.Or(int64(o.Traffic.Events), -1))
		return func(records int, words string) { bar.Set(int64(records), words) }, bar.Clear
	}
	fmt.Fprintf(a.Err, "seed %d\n", o.Traffic.Seed)
	result, err := soak.Run(ctx, o)
	switch {
	case err != nil && ctx.Err() != nil:
		fmt.Fprintln(a.Err, "Stopped before the verdict.")
		return errSilent
	case err != nil:
		fmt.Fprint(a.Out, "\n", result.String())
		return fmt.Errorf("no verdict: %w", err)
	}
	fmt.Fprint(a.Out, "\n", result.String())
	if !result.Held() {
		return errSilent
	}
	return nil
}
