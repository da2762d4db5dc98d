package invariants

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
)

const readAudit = `
SELECT a.tenant_id, a.subject, a.version, a.outcome, a.reason, a.source, a.id, a.type, a.time,
       coalesce(a.sequence, 0), a.digest, a.data
FROM unnest($2::text[], $3::text[]) AS batch (tenant_id, subject)
JOIN millrace.audit AS a ON a.tenant_id = batch.tenant_id AND a.function = $1 AND a.subject = batch.subject
ORDER BY a.tenant_id, a.subject, a.version`

// checkFolds is I7: it folds the audit log of each entity from the beginning,
// and compares what comes out with the tables, and what is emitted on the way
// with what its targets have.
func (c *check) checkFolds(ctx context.Context) error {
	e := newEmissions(c)
	for _, fn := range c.deps.Functions {
		err := c.pages(ctx, fn, func(ctx context.Context, tx pgx.Tx, heads []function.Head) error {
			return c.fold(ctx, tx, fn, heads, e)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", fn.FunctionName(), err)
		}
	}
	return e.finish(ctx)
}

func (c *check) fold(ctx context.Context, tx pgx.Tx, fn function.Definition, heads []function.Head, e *emissions) error {
	stored, _ := instances(fn, heads)
	if err := send(ctx, tx, func(b *pgx.Batch) { fn.QueueLoadAll(b, stored) }); err != nil {
		return err
	}
	empty := make([]function.Head, len(heads))
	for n, h := range heads {
		empty[n] = function.Head{TenantID: h.TenantID, Subject: h.Subject}
	}
	folded, of := instances(fn, empty)
	r, err := c.readRedacted(ctx, tx, fn, heads)
	if err != nil {
		return err
	}
	rows, err := tx.Query(ctx, readAudit, fn.FunctionName(),
		function.Column(heads, func(h function.Head) string { return h.TenantID }),
		function.Column(heads, func(h function.Head) string { return h.Subject }))
	if err != nil {
		return err
	}
	var row auditRow
	if _, err := pgx.ForEachRow(rows, row.fields(), func() error {
		c.report.Checked.Events++
		return e.add(ctx, c.decide(fn, of[[2]string{row.event.TenantID, row.event.Subject}], &row, r))
	}); err != nil {
		return err
	}
	if err := c.checkCopies(ctx, tx, fn, heads, r); err != nil {
		return err
	}
	for n := range heads {
		c.report.Checked.Entities++
		if err := c.compare(fn, heads[n], stored[n], folded[n]); err != nil {
			return err
		}
	}
	return nil
}

// auditRow is a decision.
type auditRow struct {
	event           event.Event
	version         int64
	outcome, reason string
	digest          []byte
}

func (r *auditRow) fields() []any {
	e := &r.event
	return []any{&e.TenantID, &e.Subject, &r.version, &r.outcome, &r.reason, &e.Source, &e.ID, &e.Type, &e.Time,
		&e.Sequence, &r.digest, &e.Data}
}

// decide decides an event again, and returns what it emits.
func (c *check) decide(fn function.Definition, i function.Instance, r *auditRow, known redacted) []*event.Event {
	e := r.event
	e.Time, e.IsJSON = e.Time.UTC(), true
	payload, err := fn.Decode(&e)
	// Of a redacted event the digest tells nothing any more.
	if digest := e.Digest(); !c.checkHidden(known, &e, payload, "audit") && string(digest[:]) != string(r.digest) {
		c.brokenf("I7", "decisions whose event is not the one that was decided", "version %d: %s", r.version, name(&e))
	}
	if err != nil {
		c.brokenf("I7", "decisions that cannot be made again", "version %d: %s: %v", r.version, name(&e), err)
		return nil
	}
	fx, err := decideSafely(fn, i, &e, payload)
	outcome, reason := "applied", ""
	if refusal, ok := errors.AsType[*function.Refusal](err); ok {
		outcome, reason = "refused", refusal.Reason
	} else if err != nil {
		c.brokenf("I7", "decisions that cannot be made again", "version %d: %s: %v", r.version, name(&e), err)
		return nil
	}
	if outcome != r.outcome || reason != r.reason {
		c.brokenf("I7", "decisions that come out differently", "version %d: %s: was %s %s, is %s %s",
			r.version, name(&e), r.outcome, r.reason, outcome, reason)
	}
	known.decided(&e, fx)
	return fx.Emitted
}

func decideSafely(fn function.Definition, i function.Instance, e *event.Event, payload any) (fx *function.Effects, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the rule panicked: %v", p)
		}
	}()
	return fn.Decide(i, e, payload)
}

func (c *check) compare(fn function.Definition, head function.Head, stored, folded function.Instance) error {
	got, err := stored.StateJSON()
	want, errFold := folded.StateJSON()
	if err := errors.Join(err, errFold); err != nil {
		return err
	}
	at := fmt.Sprintf("%s %s/%s", fn.FunctionName(), head.TenantID, head.Subject)
	if v := folded.Header().Version; v != head.Version {
		c.brokenf("I7", "entities whose version is not that of the fold", "%s: %d, folded %d", at, head.Version, v)
	}
	if counters := folded.Header().Counters; !maps.Equal(counters, head.Counters) {
		c.brokenf("I7", "entities whose counters are not those of the fold", "%s: %v, folded %v", at, head.Counters, counters)
	}
	if got != want {
		c.brokenf("I7", "entities whose tables are not what the fold gives", "%s: %s", at, difference(got, want))
	}
	return nil
}

// difference shows where two texts part.
func difference(got, want string) string {
	n := 0
	for n < len(got) && n < len(want) && got[n] == want[n] {
		n++
	}
	const before, after = 60, 100
	cut := func(s string) string { return s[max(0, n-before):min(len(s), n+after)] }
	return fmt.Sprintf("from byte %d on the tables have ...%s, the fold gives ...%s", n, cut(got), cut(want))
}
