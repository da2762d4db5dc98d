package replay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millrace/millrace/infra/invariants"
	"github.com/millrace/millrace/infra/records"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/runtime"
)

// Config says what is replayed, and into what.
type Config struct {
	Pool      *pgxpool.Pool // of the live database
	Functions []function.Definition
	Limits    runtime.Limits

	// Kafka is read unless FromAudit says so. Group names the consumer group of a
	// function; what it has not committed is left out.
	Kafka Kafka
	// FromAudit replays the audit log, after the decision After if there is one,
	// which needs a single function.
	FromAudit bool
	After     *Decision

	// Shadow is the URL of the live database, if a shadow of it is replayed into;
	// Keep leaves it there, unless an error came before anything was in it.
	Shadow string
	Keep   bool
	// DryRun only looks: nothing is delivered.
	DryRun bool

	Rate float64 // events a second; 0: as fast as it goes
	Rows int     // how many are named; 0: 20
	// Patience is how long the database may take for a transaction; 0: a minute.
	Patience time.Duration
	// Progress hears how many of about how many events are done.
	Progress func(doing string, done, total int64)
}

// Kafka is which records are replayed.
type Kafka struct {
	records.Cluster
	Group func(function string) string
	// Offsets are which partitions and which part of them; nil: all of all. They
	// need a single function.
	Offsets map[int32]Range
	// Since and Until are times of records; zero: no limit.
	Since, Until time.Time
}

// Range is a part of a partition: from an offset to before another; below 0: to
// the last one.
type Range struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// chunk is how many events are delivered in one transaction, at most.
const chunk = 500

// delivery is an event with what its source knows of it.
type delivery struct {
	event.Received

	redacted bool // its data is not what was decided
	redriven bool // an operator asked for this decision, which may be another one of its event
	ordered  bool // it comes in the order of the live decisions
}

// unreadable reports whether it is no event that anybody could know again: the
// trigger or the function made a dead letter of its record.
func (d *delivery) unreadable() bool {
	invalid := event.AsInvalid(d.Err)
	return d.Event == nil || !invariants.Storable(d.Event) || invalid != nil && invalid.Reason == event.BadAttribute
}

// source hands over events, page by page, in the order of their entities.
type source interface {
	// total is about how many there are.
	total(ctx context.Context) (int64, error)
	// pages calls do with each page, and notes in rest where to go on once do has
	// returned.
	pages(ctx context.Context, rest *Rest, do func(context.Context, []delivery) error) error
}

// Run replays. When ctx ends it stops, and its result says where to go on.
func Run(ctx context.Context, c Config) (result Result, err error) {
	if c.Rows == 0 {
		c.Rows = 20
	}
	if c.Patience == 0 {
		c.Patience = time.Minute
	}
	r := &replay{Config: c, target: c.Pool, result: &Result{limit: c.Rows}, began: time.Now()}
	if c.Shadow == "" || c.DryRun {
		err := r.all(ctx)
		return *r.result, err
	}
	made, err := makeShadow(ctx, c.Shadow, c.Patience)
	if err != nil {
		return *r.result, err
	}
	r.result.Shadow = made.name
	defer func() {
		keep := c.Keep && (err == nil || result.Events() > 0)
		if dropErr := made.close(context.WithoutCancel(ctx), c.Patience, keep); dropErr != nil {
			err = errors.Join(err, dropErr)
		}
	}()
	r.target = made.pool
	if err := r.all(ctx); err != nil || ctx.Err() != nil {
		return *r.result, err
	}
	report, err := invariants.Verify(ctx, invariants.Deps{
		Pool: made.pool, Audit: c.Pool, Functions: c.Functions, Rows: c.Rows,
		Progress: func(p invariants.Progress) { c.tell("comparing: "+p.Doing, p.Done, p.Total) },
	})
	if err != nil {
		return *r.result, fmt.Errorf("comparing the shadow: %w", err)
	}
	r.result.Compared = &report
	return *r.result, nil
}

func (c *Config) tell(doing string, done, total int64) {
	if c.Progress != nil {
		c.Progress(doing, done, total)
	}
}

// replay is one call of Run.
type replay struct {
	Config

	target      *pgxpool.Pool
	result      *Result
	began       time.Time
	done, total int64
	delivered   int64
}

func (r *replay) all(ctx context.Context) error {
	sources := make([]source, len(r.Functions))
	for n, fn := range r.Functions {
		sources[n] = r.source(fn.FunctionName())
		events, err := sources[n].total(ctx)
		if err != nil {
			return fmt.Errorf("replaying %s: %w", fn.FunctionName(), err)
		}
		r.total += events
	}
	for n, fn := range r.Functions {
		rest := Rest{Function: fn.FunctionName()}
		d := r.newDeliverer(fn)
		err := sources[n].pages(ctx, &rest, func(ctx context.Context, page []delivery) error {
			return d.deliver(ctx, page)
		})
		if err == nil && ctx.Err() == nil {
			continue
		}
		r.stopped(rest, n)
		return failure(ctx, fn.FunctionName(), err)
	}
	return nil
}

// failure is what went wrong, if it was not that the replay was stopped.
func failure(ctx context.Context, function string, err error) error {
	if err == nil || ctx.Err() != nil {
		return nil //nolint:nilerr // as it says
	}
	return fmt.Errorf("replaying %s: %w", function, err)
}

func (r *replay) source(function string) source {
	switch {
	case r.FromAudit:
		return &audit{pool: r.Pool, function: function, after: r.After, patience: r.Patience}
	case r.target == r.Pool:
		return &topic{Kafka: r.Kafka, function: function}
	default:
		return &staged{&topic{Kafka: r.Kafka, function: function}, r}
	}
}

// stopped notes what is left: of one function a part, of the later ones all. A
// shadow is made whole or not at all.
func (r *replay) stopped(rest Rest, n int) {
	maps.DeleteFunc(rest.Offsets, func(_ int32, part Range) bool { return part.From >= part.To })
	if read := rest.Offsets != nil && len(rest.Offsets) == 0; !read || r.target != r.Pool {
		r.result.Rest = append(r.result.Rest, rest)
	}
	for _, fn := range r.Functions[n+1:] {
		r.result.Rest = append(r.result.Rest, Rest{Function: fn.FunctionName()})
	}
}
