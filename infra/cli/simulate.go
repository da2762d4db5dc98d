package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/infra/cli/terminal"
	"github.com/millrace/millrace/infra/traffic"
	"github.com/millrace/millrace/infra/traffic/produce"
)

// simulateOptions are the flags of `millrace simulate`.
type simulateOptions struct {
	traffic.Settings

	only         []string
	spike, start string
}

func (a *app) simulateCommand() *cobra.Command {
	o := simulateOptions{Settings: traffic.Defaults()}
	c := &cobra.Command{
		Use:   "simulate",
		Short: "Send realistic traffic of many tenants",
		Long: `Sends the traffic of a contact centre and a trading desk: agents sign in and
change their status, conversations are queued, assigned, transferred and closed,
messages sent, edited and redacted, trades executed, amended and cancelled. Each
refers to what was there before. Half are messages, a quarter conversations and
agents, a quarter financial.

It goes on until Ctrl-C, or ends after --events or --duration, and then says
what it sent. What it held back to come late is still sent at the end.

Faults come in shares of the events, from 0 (none, the default) to 1:

  --duplicates   come again later         -> no second effect
  --reorder      are overtaken by a few   -> parked for a moment, with --sequences
  --gaps         are overtaken by many    -> parked until the gap closes
  --open-gaps    of the gaps, never close -> what follows stays parked
  --poison       records on top that cannot be decided -> dead letters

Without --sequences nothing mends the order: an amendment that overtakes its
trade is refused. The same --seed sends the same events, which Millrace then
knows as duplicates; each seed has tenants' entities of its own.`,
		Example: `  millrace simulate                                   # 100 events/s until Ctrl-C
  millrace simulate --rate 2000 --duration 1m
  millrace simulate --rate 500 --spike 10x20s/2m      # ten times as many for 20 s every 2 min

  # everything that producers do wrong, the same each time
  millrace simulate --seed 7 --events 20000 --rate 0 --sequences \
    --duplicates 0.05 --reorder 0.05 --gaps 0.01 --open-gaps 0.1 --poison 0.01

  millrace simulate --only trade,ledger --tenants 3 --skew 0`,
		Args: noArgs,
		RunE: checked(o.complete, func(ctx context.Context) error { return a.simulate(ctx, o.Settings) }),
	}
	f := c.Flags()
	f.Uint64Var(&o.Seed, "seed", 0, "the same seed gives the same events; 0 takes a new one")
	f.Float64Var(&o.Rate, "rate", 100, "records a second; 0 is as fast as Kafka takes them")
	f.StringVar(&o.spike, "spike", "", "FACTORxFOR/EVERY: 10x30s/5m is ten times the rate for 30 s every 5 min")
	f.IntVar(&o.Events, "events", 0, "end after so many events; 0 goes on")
	f.DurationVar(&o.Duration, "duration", 0, "end after so long")
	f.StringVar(&o.start, "start", "", "time of the first event, RFC 3339 (default: now)")
	trafficFlags(c, &o.Settings, &o.only)
	f.Float64Var(&o.Duplicates, "duplicates", 0, "share of events that come again")
	f.Float64Var(&o.Reorder, "reorder", 0, "share of events that come out of order")
	f.Float64Var(&o.Gaps, "gaps", 0, "share of events that leave a gap")
	f.Float64Var(&o.OpenGaps, "open-gaps", 0, "share of the gaps that never close")
	f.Float64Var(&o.Poison, "poison", 0, "share of records that cannot be decided")
	return c
}

// complete makes settings of the flags.
func (o *simulateOptions) complete() (err error) {
	if o.Seed == 0 {
		o.Seed = uint64(rand.Uint32())
	}
	if len(o.only) > 0 {
		if err := o.Only(o.only...); err != nil {
			return err
		}
	}
	if o.Spike, err = parseSpike(o.spike); err != nil {
		return err
	}
	o.Start = time.Now()
	if o.start != "" {
		if o.Start, err = time.Parse(time.RFC3339Nano, o.start); err != nil {
			return fmt.Errorf("--start: %w", err)
		}
	}
	if o.Rate == 0 && o.Duration > 0 {
		return errors.New("--duration needs a --rate; without one say --events")
	}
	return o.Validate()
}

// parseSpike reads 10x30s/5m.
func parseSpike(text string) (s traffic.Spike, err error) {
	if text == "" {
		return s, nil
	}
	factor, rest, hasX := strings.Cut(text, "x")
	length, every, hasEvery := strings.Cut(rest, "/")
	var errs [3]error
	s.Factor, errs[0] = strconv.ParseFloat(factor, 64)
	s.For, errs[1] = time.ParseDuration(length)
	s.Every, errs[2] = time.ParseDuration(every)
	if errors.Join(errs[:]...) != nil || !hasX || !hasEvery {
		return s, fmt.Errorf("--spike %q: want FACTORxFOR/EVERY, such as 10x30s/5m", text)
	}
	return s, nil
}

func (a *app) simulate(ctx context.Context, s traffic.Settings) error {
	at, err := a.locate("KAFKA_BROKERS")
	if err != nil {
		return err
	}
	generator, err := traffic.New(s)
	if err != nil {
		return err
	}
	producer, err := produce.New(at.KafkaBrokers, at.Kafka)
	if err != nil {
		return err
	}
	// The second signal ends it at once, as by default.
	stopped, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(stopped, stop)

	sim := &simulation{settings: s, generator: generator, producer: producer, began: time.Now()}
	sim.bar = terminal.NewBar(a.Err, "sending", sim.total())
	err = sim.run(ctx, stopped)
	sim.bar.Clear()
	sim.summary(a.Out, a.command())
	return err
}

// simulation is traffic on its way.
type simulation struct {
	settings  traffic.Settings
	generator *traffic.Generator
	producer  *produce.Producer
	bar       *terminal.Bar
	began     time.Time
	took      time.Duration
	shown     time.Time
}

// run sends until the traffic ends. When stopped ends no more is begun, and what
// was held back is sent without pacing.
func (s *simulation) run(ctx, stopped context.Context) (err error) {
	defer func() {
		err = cmp.Or(err, s.producer.Close())
		s.took = time.Since(s.began)
	}()
	for {
		r, ok := s.generator.Next()
		if !ok {
			return nil
		}
		if s.settings.Rate > 0 && !produce.Await(stopped, s.began, r.At) || stopped.Err() != nil {
			s.generator.End()
		}
		if err := s.producer.Send(ctx, r); err != nil {
			return err
		}
		s.show(r.At)
	}
}

func (s *simulation) show(at time.Duration) {
	if time.Since(s.shown) < 100*time.Millisecond {
		return
	}
	s.shown = time.Now()
	expected := s.generator.Expected()
	done := int64(expected.Distinct() + expected.Lost)
	if s.settings.Events == 0 {
		done = int64(at)
	}
	if s.settings.Events == 0 && s.settings.Duration == 0 {
		done = int64(expected.Records)
	}
	s.bar.Set(done, fmt.Sprintf("%d records", expected.Records))
}

// total is what show counts to.
func (s *simulation) total() int64 {
	switch {
	case s.settings.Events > 0:
		return int64(s.settings.Events)
	case s.settings.Duration > 0:
		return int64(s.settings.Duration)
	}
	return -1
}
