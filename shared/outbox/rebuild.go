package outbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/views"
)

// The columns come in the order of the primary keys, so that each chunk starts
// where the last one ended.
const (
	nextEntities = `
SELECT tenant_id, '', subject
FROM millrace.entities
WHERE (tenant_id, function, subject) > ($2, $1, $3) AND function = $1 AND ($5 = '' OR tenant_id = $5)
ORDER BY tenant_id, function, subject
LIMIT $4`

	nextAggregates = `
SELECT DISTINCT ON (tenant_id, function, name, key) tenant_id, name, key
FROM millrace.aggregates
WHERE (tenant_id, function, name, key) > ($2, $1, $3, $4) AND function = $1 AND ($6 = '' OR tenant_id = $6)
ORDER BY tenant_id, function, name, key
LIMIT $5`
)

// Part says what is rebuilt; the zero value is everything.
type Part struct {
	Function, Tenant string // empty: all
	// Progress, if it is not nil, hears how many more entities and aggregates are
	// shown anew.
	Progress func(n int)
}

func (p Part) whole() bool { return p.Function == "" && p.Tenant == "" }

// rebuilding is one go at showing every entity and aggregate of the relay's
// functions anew, on the given masters or, without any, on all. It reads them chunk by
// chunk, each in a snapshot of its own, while live writes go on: whichever is newer
// stays.
//
// A crash leaves a part shown anew; doing it again does no harm. On masters it goes
// on where it was.
type rebuilding struct {
	relay   *Relay
	part    Part
	masters []views.Master
	at      position
	errs    []error
	through bool // all was read, even if some of it could not be shown
}

// run goes on after views that cannot be shown; its error tells of them.
func (b *rebuilding) run(ctx context.Context) error {
	if err := b.relay.ensureEpoch(ctx); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(b.relay.functions)) {
		if b.part.Function != "" && b.part.Function != name {
			continue
		}
		for _, next := range []nextChunk{{b.relay.entitiesAfter, false}, {b.relay.aggregatesAfter, true}} {
			last, ok := b.at.within(name, next.aggregates, b.part.Tenant)
			if !ok {
				continue
			}
			if err := b.step(ctx, next, last); err != nil {
				return fmt.Errorf("rebuilding the views of %s: %w", name, err)
			}
		}
	}
	b.through = true
	if b.at.Failed && len(b.errs) == 0 {
		b.errs = append(b.errs, errors.New("some views could not be shown before it was interrupted"))
	}
	return errors.Join(b.errs...)
}

// step shows what comes after the last item. Its error means that the rebuild cannot
// go on.
func (b *rebuilding) step(ctx context.Context, next nextChunk, last item) error {
	for {
		chunk, err := next.read(ctx, last, b.part.Tenant)
		if err != nil || len(chunk) == 0 {
			return err
		}
		err = b.show(ctx, chunk)
		if IsUnreachable(err) || ctx.Err() != nil || isUnread(err) && !b.relay.databaseAnswers(ctx) {
			return errors.Join(append(b.errs, err, ctx.Err())...)
		}
		failed := err != nil
		if failed {
			b.errs = append(b.errs, err)
		}
		last = chunk[len(chunk)-1]
		if err := b.reached(ctx, last, failed); err != nil {
			return err
		}
		if b.part.Progress != nil {
			b.part.Progress(len(chunk))
		}
	}
}

// show reads a chunk twice if it must: that a connection is lost says nothing of what
// was to be read.
func (b *rebuilding) show(ctx context.Context, chunk []item) error {
	err := b.relay.reshow(ctx, chunk, b.masters)
	if isUnread(err) && ctx.Err() == nil {
		err = b.relay.reshow(ctx, chunk, b.masters)
	}
	return err
}

func (r *Relay) databaseAnswers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	return r.cfg.Pool.Ping(ctx) == nil
}

// reached notes on the masters how far it came.
func (b *rebuilding) reached(ctx context.Context, last item, failed bool) error {
	if len(b.masters) == 0 {
		return nil
	}
	b.at = position{last.function, last.tenant, last.name, last.key, b.at.Failed || failed}
	return b.relay.notePosition(ctx, b.at.text(), b.masters)
}

// nextChunk reads the items after the last one, of a tenant or of all.
type nextChunk struct {
	read       func(ctx context.Context, last item, tenant string) ([]item, error)
	aggregates bool
}

func (r *Relay) entitiesAfter(ctx context.Context, last item, tenant string) ([]item, error) {
	return r.nextItems(ctx, last.function, nextEntities, last.function, last.tenant, last.key, loadItems, tenant)
}

func (r *Relay) aggregatesAfter(ctx context.Context, last item, tenant string) ([]item, error) {
	return r.nextItems(ctx, last.function, nextAggregates, last.function, last.tenant, last.name, last.key, loadItems, tenant)
}

func (r *Relay) nextItems(ctx context.Context, function, query string, args ...any) ([]item, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	rows, err := r.cfg.Pool.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (item, error) {
		i := item{function: function}
		return i, row.Scan(&i.tenant, &i.name, &i.key)
	})
}

// reshow shows items anew on the masters.
func (r *Relay) reshow(ctx context.Context, items []item, masters []views.Master) error {
	client, clock, err := r.connect(ctx)
	if err != nil {
		return r.redisOut.note(ctx, err)
	}
	s := newShowing(r)
	s.rewrite, s.masters = true, masters
	unreachable, err := s.run(ctx, client, clock, nil, items)
	if err == nil && unreachable == nil && len(s.settled) < len(items) {
		err = fmt.Errorf("%d views cannot be shown", len(items)-len(s.settled))
	}
	return errors.Join(r.redisOut.note(ctx, unreachable), err)
}

// onlyOn keeps the views that one of the masters holds.
func onlyOn(masters []views.Master, rendered []views.View) []views.View {
	if len(masters) == 0 {
		return rendered
	}
	return slices.DeleteFunc(rendered, func(v views.View) bool {
		return !slices.ContainsFunc(masters, func(m views.Master) bool { return m.Holds(views.KeyOf(v)) })
	})
}
