package replay

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/infra/invariants"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/fault"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/outbox"
	"github.com/millrace/millrace/shared/runtime"
)

// deliverer delivers the events of one function.
type deliverer struct {
	*replay

	fn        function.Definition
	processor *runtime.Processor
	drains    []outbox.Stream // that a transaction left
}

func (r *replay) newDeliverer(fn function.Definition) *deliverer {
	d := &deliverer{replay: r, fn: fn}
	d.processor = runtime.NewProcessor(fn, r.target, r.Limits, slog.New(slog.DiscardHandler),
		func(c outbox.Claim) { d.drains = append(d.drains, c.Drain...) })
	return d
}

// deliver delivers a page, a transaction at a time.
func (d *deliverer) deliver(ctx context.Context, page []delivery) error {
	for from := 0; from < len(page); from += chunk {
		part := page[from:min(from+chunk, len(page))]
		if err := d.deliverChunk(ctx, part); err != nil {
			return err
		}
		d.done += int64(len(part))
		d.delivered += int64(len(part))
		d.tell("replaying "+d.fn.FunctionName(), d.done, d.total)
		if d.Rate > 0 {
			due := d.began.Add(time.Duration(float64(d.delivered) / d.Rate * float64(time.Second)))
			if !fault.Pause(ctx, time.Until(due)) {
				return ctx.Err()
			}
		}
	}
	return nil
}

func (d *deliverer) deliverChunk(ctx context.Context, part []delivery) error {
	if d.Shadow != "" && !d.DryRun {
		return d.intoShadow(ctx, part)
	}
	events := make([]*event.Event, len(part))
	for n := range part {
		events[n] = part[n].Event
	}
	var fates []invariants.Fate
	if err := within(ctx, d.Patience, func(ctx context.Context) (err error) {
		if fates, err = invariants.Fates(ctx, d.Pool, d.fn.FunctionName(), events); err != nil {
			return err
		}
		return d.remembered(ctx, events, fates)
	}); err != nil {
		return err
	}
	var open []event.Received
	var known []invariants.Fate
	for n := range part {
		switch e := events[n]; {
		case part[n].unreadable():
			d.result.Unreadable++
		case part[n].redacted:
			d.result.Redacted++
		case fates[n] == invariants.Dead:
			d.result.DeadLetters++
		case d.DryRun || fates[n] == onlyAudited || fates[n] == invariants.Contested:
			d.count(e, fates[n])
		default:
			open, known = append(open, part[n].Received), append(known, fates[n])
		}
	}
	if len(open) == 0 {
		return nil
	}
	return d.process(ctx, open, known)
}

// count counts an event that is not delivered.
func (d *deliverer) count(e *event.Event, fate invariants.Fate) {
	switch fate {
	case invariants.Decided, onlyAudited:
		d.result.Duplicates++
	case invariants.Parked:
		d.result.Waiting++
	case invariants.Contested:
		d.result.Conflicts++
		d.result.note("conflict", e)
	case invariants.Conflict:
		d.result.Dead++
		d.result.note("conflict without a dead letter", e)
	default:
		d.result.Unknown++
		d.result.note("unknown", e)
	}
}

// process delivers events, and counts what became of each.
func (d *deliverer) process(ctx context.Context, events []event.Received, known []invariants.Fate) error {
	var outcomes []runtime.Outcome
	if err := within(ctx, d.Patience, func(ctx context.Context) (err error) {
		outcomes, err = d.processor.Process(ctx, events)
		return err
	}); err != nil {
		return err
	}
	for n, o := range outcomes {
		switch e := events[n].Event; {
		case o.Kind == runtime.Duplicate:
			d.result.Duplicates++
		case o.Kind == runtime.Parked && known[n] == invariants.Parked:
			d.result.Waiting++
		case o.Kind == runtime.Applied:
			d.changed(&d.result.Applied, "applied", e)
		case o.Kind == runtime.Refused:
			d.changed(&d.result.Refused, "refused", e)
		case o.Kind == runtime.Parked:
			d.changed(&d.result.Parked, "parked", e)
		default:
			d.changed(&d.result.Dead, "dead letter, "+o.Reason, e)
		}
	}
	return d.drain(ctx)
}

// changed counts a change. In a shadow every event is one.
func (d *deliverer) changed(count *int, what string, e *event.Event) {
	*count++
	if d.Shadow == "" {
		d.result.note(what, e)
	}
}

// drain decides the parked events that a transaction had no room for.
func (d *deliverer) drain(ctx context.Context) error {
	for len(d.drains) > 0 {
		next := d.drains[0]
		d.drains = d.drains[1:]
		if err := within(ctx, d.Patience, func(ctx context.Context) error { return d.processor.Drain(ctx, next) }); err != nil {
			return fmt.Errorf("deciding parked events: %w", err)
		}
	}
	return nil
}

// within bounds what would be tried without end: a role that may not write, a
// table that is locked or lacks a column.
func within(ctx context.Context, patience time.Duration, do func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := do(bounded)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("not done within %s: %w", patience, err)
	}
	return err
}

// onlyAudited is the fate of an event whose identity is not remembered any more.
const onlyAudited invariants.Fate = -1

const findAudited = `
SELECT batch.n
FROM unnest($2::int[], $3::text[], $4::text[], $5::text[], $6::text[]) AS batch (n, tenant_id, subject, source, id)
WHERE EXISTS (
    SELECT FROM millrace.audit AS a
    WHERE a.tenant_id = batch.tenant_id AND a.function = $1 AND a.subject = batch.subject
      AND a.source = batch.source AND a.id = batch.id)`

// remembered looks into the audit log for the events that are nowhere else.
func (d *deliverer) remembered(ctx context.Context, events []*event.Event, fates []invariants.Fate) error {
	var ns []int32
	var tenants, subjects, sources, ids []string
	for n, e := range events {
		if e != nil && fates[n] == invariants.Nowhere && invariants.Storable(e) {
			ns = append(ns, int32(n))
			tenants, subjects = append(tenants, e.TenantID), append(subjects, e.Subject)
			sources, ids = append(sources, e.Source), append(ids, e.ID)
		}
	}
	if len(ns) == 0 {
		return nil
	}
	rows, err := d.Pool.Query(ctx, findAudited, d.fn.FunctionName(), ns, tenants, subjects, sources, ids)
	if err != nil {
		return err
	}
	var n int
	_, err = pgx.ForEachRow(rows, []any{&n}, func() error {
		fates[n] = onlyAudited
		return nil
	})
	return err
}
