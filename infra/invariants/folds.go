package invariants

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
)

const readAudit = `
SELECT a.tenant_id, a.subject, a.version, a.outcome, a.reason, a.source, a.id, a.type, a.time,
       coalesce(a.sequence, 0), a.digest, a.data
FROM unnest($2::text[], $3::text[], $4::bigint[]) AS batch (tenant_id, subject, version)
JOIN millrace.audit AS a
  ON a.tenant_id = batch.tenant_id AND a.function = $1 AND a.subject = batch.subject AND a.version <= batch.version
ORDER BY a.tenant_id, a.subject, a.version`

// emitted takes the events that a decision emits.
type emitted func(context.Context, []*event.Event) error

// checkFolds is I7: it folds the audit log of each entity from the beginning,
// and compares what comes out with the tables.
func (c *check) checkFolds(ctx context.Context, emit emitted) error {
	for _, fn := range c.deps.Functions {
		if err := c.checkFoldsOf(ctx, fn, emit); err != nil {
			return fmt.Errorf("%s: %w", fn.FunctionName(), err)
		}
	}
	return nil
}

func (c *check) checkFoldsOf(ctx context.Context, fn function.Definition, emit emitted) error {
	s, err := c.newSums(ctx, fn)
	if err != nil {
		return err
	}
	if err := c.pages(ctx, fn, c.deps.Scope, func(ctx context.Context, tx pgx.Tx, heads []function.Head) error {
		return c.fold(ctx, tx, fn, heads, s, emit)
	}); err != nil {
		return err
	}
	return s.compare(ctx)
}

// fold folds a page of entities and compares them.
func (c *check) fold(ctx context.Context, tx pgx.Tx, fn function.Definition, heads []function.Head, s *sums, emit emitted) error {
	stored, _ := instances(fn, heads)
	if err := send(ctx, tx, func(b *pgx.Batch) { fn.QueueLoadAll(b, stored) }); err != nil {
		return err
	}
	f := c.newFolding(fn, heads, s)
	read := func(tx pgx.Tx) error { return f.read(ctx, tx, emit) }
	if c.deps.Audit == nil {
		if err := read(tx); err != nil {
			return err
		}
	} else if err := snapshot(ctx, c.deps.Audit, read); err != nil {
		return err
	}
	for n := range heads {
		c.report.Checked.Entities++
		if err := f.compare(n, stored[n]); err != nil {
			return err
		}
	}
	c.progress("folding "+fn.FunctionName(), len(heads))
	return nil
}

// folding is a page of entities that are folded from nothing.
type folding struct {
	*check
	fn     function.Definition
	heads  []function.Head
	folded []function.Instance
	of     map[[2]string]function.Instance
	// unsound are those whose audit log cannot be folded to its end: what is wrong
	// with it is said once, and all that follows from that is not.
	unsound map[function.Instance]bool
	known   redacted
	sums    *sums
}

func (c *check) newFolding(fn function.Definition, heads []function.Head, s *sums) *folding {
	empty := make([]function.Head, len(heads))
	for n, h := range heads {
		empty[n] = function.Head{TenantID: h.TenantID, Subject: h.Subject}
	}
	f := &folding{check: c, fn: fn, heads: heads, sums: s, unsound: map[function.Instance]bool{}}
	f.folded, f.of = instances(fn, empty)
	return f
}

// read reads the audit log and folds it. All of it is one snapshot: a redaction
// changes what was decided before it.
func (f *folding) read(ctx context.Context, tx pgx.Tx, emit emitted) (err error) {
	if f.known, err = f.readRedacted(ctx, tx, f.fn, f.heads); err != nil {
		return err
	}
	tenants, subjects := keys(f.heads)
	rows, err := tx.Query(ctx, readAudit, f.fn.FunctionName(), tenants, subjects, function.Column(f.heads, f.to))
	if err != nil {
		return err
	}
	var row auditRow
	if _, err := pgx.ForEachRow(rows, row.fields(), func() error {
		f.report.Checked.Events++
		return emit(ctx, f.add(f.of[[2]string{row.event.TenantID, row.event.Subject}], &row))
	}); err != nil {
		return err
	}
	if f.deps.Audit != nil {
		return f.countBehind(ctx, tx)
	}
	return f.checkCopies(ctx, tx, f.fn, f.heads, f.known)
}

// to is up to which version an entity is folded.
func (f *folding) to(h function.Head) int64 {
	if f.deps.Audit != nil {
		return h.Version // the log may be further than the tables
	}
	return math.MaxInt64
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

// add folds the next row of an entity, and returns what it emits.
func (f *folding) add(i function.Instance, r *auditRow) []*event.Event {
	if f.unsound[i] {
		return nil
	}
	if version := i.Header().Version; r.version != version+1 {
		f.missing(i, version+1, r.version-1)
		return nil
	}
	return f.decide(i, r)
}

func (f *folding) leave(i function.Instance) {
	f.unsound[i] = true
	f.known.leave(i.Header())
	f.sums.leave(i.Header().TenantID)
}

// missing says that the audit log of an entity has no rows of some versions, or
// more than one of the version before.
func (f *folding) missing(i function.Instance, from, to int64) {
	f.leave(i)
	h := i.Header()
	where := fmt.Sprintf("millrace.audit %s %s/%s version %d", f.fn.FunctionName(), h.TenantID, h.Subject, from)
	switch {
	case to < from:
		f.differs("I7", "audit rows that there is more than one of", Row{Where: fmt.Sprintf("millrace.audit %s %s/%s version %d",
			f.fn.FunctionName(), h.TenantID, h.Subject, to+1), Is: "several rows", Should: "one"})
		return
	case to > from:
		where += fmt.Sprintf(" to %d", to)
	}
	f.differs("I7", "audit rows that are missing", Row{Where: where, Is: "no row", Should: "one for each version of the entity"})
}

// decide decides an event again, and returns what it emits.
func (f *folding) decide(i function.Instance, r *auditRow) []*event.Event {
	e := r.event
	e.Time, e.IsJSON = e.Time.UTC(), true
	where := fmt.Sprintf("millrace.audit %s version %d: %s", f.fn.FunctionName(), r.version, name(&e))
	payload, err := f.fn.Decode(&e)
	// Of a redacted event the digest tells nothing any more.
	if digest := e.Digest(); !f.checkHidden(f.known, &e, payload, "audit") && string(digest[:]) != string(r.digest) {
		f.brokenf("I7", "decisions whose event is not the one that was decided", "%s", where)
	}
	var fx *function.Effects
	if err == nil {
		fx, err = decideSafely(f.fn, i, &e, payload)
	}
	outcome, reason := "applied", ""
	if refusal, ok := errors.AsType[*function.Refusal](err); ok {
		outcome, reason = "refused", refusal.Reason
	} else if err != nil {
		f.leave(i)
		f.brokenf("I7", "decisions that cannot be made again", "%s: %v", where, err)
		return nil
	}
	if outcome != r.outcome || reason != r.reason {
		f.differs("I7", "decisions that come out differently", Row{Where: where, Is: words(r.outcome, r.reason), Should: words(outcome, reason)})
	}
	f.known.decided(&e, fx)
	f.sums.add(fx.Deltas)
	return fx.Emitted
}

func words(outcome, reason string) string {
	if reason == "" {
		return outcome
	}
	return outcome + " " + reason
}

func decideSafely(fn function.Definition, i function.Instance, e *event.Event, payload any) (fx *function.Effects, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the rule panicked: %v", p)
		}
	}()
	return fn.Decide(i, e, payload)
}

// compare compares an entity with what its audit log gives.
func (f *folding) compare(n int, stored function.Instance) error {
	head, folded := f.heads[n], f.folded[n]
	if version := folded.Header().Version; version < head.Version && !f.unsound[folded] {
		f.missing(folded, version+1, head.Version)
	}
	if f.unsound[folded] {
		return nil
	}
	got, err := stored.StateJSON()
	want, errFold := folded.StateJSON()
	if err := errors.Join(err, errFold); err != nil {
		return err
	}
	at := head.TenantID + "/" + head.Subject
	row := "millrace.entities " + f.fn.FunctionName() + " " + at
	if v := folded.Header().Version; v != head.Version {
		f.differs("I7", "entities whose version is not that of the fold",
			Row{Where: row + " version", Is: strconv.FormatInt(head.Version, 10), Should: strconv.FormatInt(v, 10)})
	}
	if counters := folded.Header().Counters; !maps.Equal(counters, head.Counters) {
		f.differs("I7", "entities whose counters are not those of the fold",
			Row{Where: row + " counters", Is: fmt.Sprint(head.Counters), Should: fmt.Sprint(counters)})
	}
	if got == want {
		return nil
	}
	for _, row := range stateRows(f.fn, at, got, want) {
		f.differs("I7", "entities whose tables are not what the fold gives", row)
	}
	return nil
}

const furtherEntities = `
SELECT count(*)
FROM unnest($2::text[], $3::text[], $4::bigint[]) AS batch (tenant_id, subject, version)
JOIN millrace.entities AS e
  ON e.tenant_id = batch.tenant_id AND e.function = $1 AND e.subject = batch.subject
WHERE e.version > batch.version`

// countBehind counts the entities that the audit log has taken further than the
// tables that are compared with it.
func (f *folding) countBehind(ctx context.Context, tx pgx.Tx) error {
	tenants, subjects := keys(f.heads)
	var n int
	err := tx.QueryRow(ctx, furtherEntities, f.fn.FunctionName(), tenants, subjects, function.Column(f.heads, f.to)).Scan(&n)
	f.report.Checked.Behind += n
	return err
}
