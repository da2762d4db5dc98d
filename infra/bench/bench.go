package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/millrace/millrace/infra/stack"
	"github.com/millrace/millrace/infra/traffic"
)

// Config says what to measure.
type Config struct {
	// Traffic is what fills the topics: Events of it. Rate and Duration are not
	// used. Each run has a seed of its own.
	Traffic traffic.Settings
	Runs    int
	// Rate is that of the second phase, in records a second; 0: half of what the
	// first phase did.
	Rate float64
	// Latency is how long the second phase takes; 0 leaves it out.
	Latency time.Duration
	// Check holds all of it to the invariants after each run.
	Check bool
	// Root is the checkout that the programs are built from.
	Root string
	// What is empty of these is started for each run, and begins empty.
	KafkaBrokers []string
	DatabaseURL  string
	RedisURL     string
	// Reporter is told what goes on.
	Reporter stack.Reporter
}

// Run measures.
func Run(ctx context.Context, c Config) (Report, error) {
	r := Report{Traffic: describe(c.Traffic)}
	for n := range c.Runs {
		c.Traffic.Start = time.Now()
		run, err := c.run(ctx)
		if err != nil {
			return r, fmt.Errorf("run %d: %w", n+1, err)
		}
		c.Reporter.Note(fmt.Sprintf("run %d of %d: %.0f events/s in, %.0f decided", n+1, c.Runs, run.perSecond(run.Sent), run.perSecond(run.Decided)))
		r.Runs = append(r.Runs, run)
		c.Traffic.Seed += 2 // the second phase has the one between
	}
	r.Median = median(r.Runs)
	return r, nil
}
