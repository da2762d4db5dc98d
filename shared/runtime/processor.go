package runtime

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/fault"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/outbox"
	"github.com/millrace/millrace/shared/postgres"
	"github.com/millrace/millrace/shared/trace"
)

// Processor decides batches of one function's events. It is safe for
// concurrent use; batches that share an entity wait for each other in the
// database.
type Processor struct {
	fn function.Definition
	privacy
	pool   *pgxpool.Pool
	limits limits
	made   *made
	log    *slog.Logger
	// offer takes what a committed transaction has to tell.
	offer func(outbox.Claim)
	// observe counts what a transaction committed.
	observe func(t *transaction, p *plan, took time.Duration)
	clock   func() time.Time
	tracer  *trace.Tracer
}

// drainBytes bounds the parked events that a transaction reads, which take about
// five times as much memory.
const drainBytes = 8 << 20

// NewProcessor makes a Processor. offer gets the claim of every transaction
// right after its commit; it must not block.
func NewProcessor(fn function.Definition, pool *pgxpool.Pool, l Limits, log *slog.Logger, offer func(outbox.Claim)) *Processor {
	return &Processor{
		fn: fn, privacy: privacyOf(fn), pool: pool, made: &made{}, log: log, offer: offer,
		limits:  limits{drain: l.Drain, drainBytes: drainBytes, parked: l.Parked, dead: l.DeadLetters},
		observe: func(*transaction, *plan, time.Duration) {},
		clock:   func() time.Time { return time.Now().UTC().Truncate(time.Microsecond) },
	}
}

// Process decides events in their order, in one transaction if it can, and
// returns what became of each. It tries again until ctx ends; then its error
// wraps a *fault.Error and says what the database said last, some events may have been decided and others not, and all
// of them may simply come again.
func (p *Processor) Process(ctx context.Context, events []event.Received) ([]Outcome, error) {
	batch := make([]*candidate, len(events))
	for n, r := range events {
		batch[n] = newCandidate(p.fn, r, p.clock())
		p.adopt(r.Event)
	}
	err := p.decide(ctx, 0, batch)
	outcomes := make([]Outcome, len(batch))
	for n, c := range batch {
		outcomes[n] = c.outcome
		err = cmp.Or(err, c.failed)
	}
	return outcomes, err
}

// decide commits batch whole. If the database refuses the data of an event, it
// halves the batch, the left part first, until that event is alone: then it is
// a dead letter.
func (p *Processor) decide(ctx context.Context, bucket int, batch []*candidate) error {
	err := p.attempts(ctx, bucket, batch, nil)
	if !refused(err) {
		return err
	}
	if len(batch) > 1 {
		half := len(batch) / 2
		if err := p.decide(ctx, bucket, batch[:half]); err != nil {
			return err // the right half must not overtake it
		}
		return p.decide(ctx, bucket, batch[half:])
	}
	if len(batch) == 1 && batch[0].invalid == nil {
		return p.decideAlone(ctx, bucket, batch)
	}
	return err
}

// refused reports whether some event of the transaction is at fault: the
// database refuses its data, or the function's code broke on it.
func refused(err error) bool {
	_, crash := errors.AsType[*crashed](err)
	return postgres.Refused(err) || crash
}

// crashed is a panic, in a rule or outside, as in rendering a view.
type crashed struct {
	cause any
	stack string
}

func (c *crashed) Error() string { return fmt.Sprintf("the function panicked: %v", c.cause) }

// unfit says why an event that is at fault becomes a dead letter.
func unfit(err error) *event.Invalid {
	if _, ok := errors.AsType[*crashed](err); ok {
		return event.Invalidf(ruleFailed, "%v", err)
	}
	return event.Invalidf(notStorable, "%v", err)
}

// stackOf tells where err broke out, if it was a panic.
func stackOf(err error) string {
	if crash, ok := errors.AsType[*crashed](err); ok {
		return crash.stack
	}
	return ""
}

// decideAlone decides an event without the parked ones that waited for it,
// which may be what the database refuses. They are left to Drain.
func (p *Processor) decideAlone(ctx context.Context, bucket int, batch []*candidate) error {
	alone := *p
	alone.limits.drain = 0
	err := alone.attempts(ctx, bucket, batch, nil)
	if !refused(err) {
		return err
	}
	p.log.Error("an event cannot be stored", "id", batch[0].event.ID, "error", err, "stack", stackOf(err))
	batch[0].invalid = unfit(err)
	return p.attempts(ctx, bucket, batch, nil)
}

// attempts runs transactions until one commits, the data is refused, or ctx
// ends.
func (p *Processor) attempts(ctx context.Context, bucket int, batch []*candidate, drains []streamKey) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 5*time.Millisecond, 2*time.Second
	var conflicts int
	var poison map[identity]*event.Invalid // of parked events
	var last error                         // that is not the end of ctx, if there is one
	for {
		err := p.attempt(ctx, bucket, batch, drains, poison)
		var broken *poisoned
		var over *overLimitError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &broken):
			for _, b := range broken.burials {
				if b.fromDB {
					poison = with(poison, b.identity(), b.why)
				} else {
					b.invalid = b.why
				}
			}
			continue
		case errors.As(err, &over):
			if batch = over.fail(batch); len(batch) == 0 {
				return nil
			}
			continue
		case postgres.Code(err) == postgres.UniqueViolation && conflicts < 3:
			// Somebody else decided one of these events meanwhile, for another
			// entity: the next attempt sees it.
			conflicts++
		case refused(err):
			return err
		}
		p.log.Warn("a transaction is tried again", "events", len(batch), "error", postgres.Redact(err.Error()))
		if last == nil || ctx.Err() == nil {
			last = err
		}
		if !fault.Pause(ctx, wait.NextBackOff()) {
			ended := fault.New(fault.Unavailable, "the database did not take the events in time")
			if errors.Is(err, context.DeadlineExceeded) {
				ended = fault.New(fault.TimedOut, "the transaction of %d events did not end in time", len(batch))
			}
			return fmt.Errorf("%w: %s", ended, postgres.Redact(last.Error()))
		}
	}
}

func with(m map[identity]*event.Invalid, key identity, why *event.Invalid) map[identity]*event.Invalid {
	if m == nil {
		m = map[identity]*event.Invalid{}
	}
	m[key] = why
	return m
}

func (p *Processor) attempt(ctx context.Context, bucket int, batch []*candidate, drains []streamKey, poison map[identity]*event.Invalid) error {
	started := time.Now()
	t := &transaction{
		fn: p.fn, privacy: p.privacy, limits: p.limits, made: p.made, bucket: bucket, now: p.clock(), log: p.log,
		batch: batch, drains: drains, poison: poison,
	}
	plan, err := t.run(ctx, p.pool)
	if refused(err) && len(batch) == 0 && plan != nil && len(plan.decide) == 1 {
		p.log.Error("a parked event cannot be stored", "id", plan.decide[0].event.ID, "error", err, "stack", stackOf(err))
		return &poisoned{[]burial{{plan.decide[0], unfit(err)}}}
	}
	if err != nil {
		return err
	}
	if t.committed {
		p.made.add(t.entityKeys)
	}
	t.report(plan)
	p.alarm(plan)
	p.observe(t, plan, time.Since(started))
	p.trace(t, plan, started)
	if !t.claim.Empty() {
		p.offer(t.claim)
	}
	return nil
}

// alarm logs what somebody has to look into: an identity or a sequence used
// twice means that a producer is at fault, and what nobody emitted that the
// database lost something.
func (p *Processor) alarm(plan *plan) {
	for _, d := range plan.dead {
		level := slog.LevelWarn
		switch d.why.Reason {
		case identityConflict, sequenceReused, sequenceConflict, ruleFailed, notStorable, notEmitted:
			level = slog.LevelError
		}
		e := d.event
		if e == nil {
			e = &event.Event{}
		}
		about := []any{
			"reason", d.why.Reason, "cause", d.why.Detail,
			"tenant", e.TenantID, "source", e.Source, "id", e.ID, "type", e.Type, "subject", e.Subject,
		}
		if d.broke != nil {
			about = append(about, "stack", d.broke.stack)
		}
		p.log.Log(context.Background(), level, "dead letter", about...)
	}
}

// report tells each event of the batch what became of it.
func (t *transaction) report(p *plan) {
	for _, d := range t.decisions {
		d.candidate.outcome = d.outcome
	}
	for _, d := range p.duplicates {
		first := d.of.outcome
		if d.of.by != nil {
			first = d.of.by.outcome
		}
		d.candidate.outcome = Outcome{Kind: Duplicate, First: first.Kind, Version: first.Version, Reason: first.Reason}
	}
	for _, c := range p.park {
		c.outcome = Outcome{Kind: Parked}
	}
	for _, c := range p.waiting {
		c.outcome = Outcome{Kind: Parked}
	}
	for _, d := range p.dead {
		d.candidate.outcome = Outcome{Kind: DeadLettered, Reason: d.why.Reason, Detail: d.why.Detail}
	}
}

// Drain decides the parked events of a stream that are ready. What exceeds the
// limit of a transaction comes back as a claim.
func (p *Processor) Drain(ctx context.Context, s outbox.Stream) error {
	key := streamKey{entityKey{s.TenantID, s.Subject}, s.Source}
	err := p.attempts(ctx, 0, nil, []streamKey{key})
	if !refused(err) {
		return err
	}
	// The database refuses one of them: one by one, it shows which.
	one := *p
	one.limits.drain = 1
	return one.attempts(ctx, 0, nil, []streamKey{key})
}

// storableText makes text fit for a text column.
func storableText(text string) string {
	const limit = 2000
	if len(text) > limit {
		text = text[:limit]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}
