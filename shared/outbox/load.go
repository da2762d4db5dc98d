package outbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/money"
	"github.com/millrace/millrace/shared/postgres"
	"github.com/millrace/millrace/shared/views"
)

const (
	beginSnapshot = `BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY`

	readVersions = `
SELECT e.tenant_id, e.subject, e.version
FROM unnest($2::text[], $3::text[]) AS batch (tenant_id, subject)
CROSS JOIN LATERAL (
    SELECT *
    FROM millrace.entities AS e
    WHERE e.tenant_id = batch.tenant_id AND e.function = $1 AND e.subject = batch.subject
    LIMIT 1 -- so that it looks into the index for each, even while the table is young
) AS e`

	// Value and version are sums over the buckets. Both come from one snapshot:
	// else a version could promise a change that its value lacks.
	sumAggregates = `
SELECT batch.tenant_id, batch.name, batch.key, a.*
FROM unnest($2::text[], $3::text[], $4::text[]) AS batch (tenant_id, name, key)
CROSS JOIN LATERAL (
    SELECT a.field, sum(a.value)::text, sum(a.version)::bigint
    FROM millrace.aggregates AS a
    WHERE a.tenant_id = batch.tenant_id AND a.function = $1 AND a.name = batch.name AND a.key = batch.key
    GROUP BY a.field
) AS a`
)

// loading is one snapshot of items and what it shows.
type loading struct {
	epoch      epoch
	entities   map[item]function.Instance
	aggregates map[item]*function.Aggregate
}

// load reads items in one short snapshot, with the epoch that it belongs to,
// and renders their views. They expire a Lifetime after the moment before the
// snapshot. The transaction only reads: a crash leaves nothing behind.
func (s *showing) load(ctx context.Context, clock *views.Clock, items []item) (*sheet, error) {
	r := s.relay
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	deadline, err := clock.Deadline(ctx)
	if err != nil {
		return nil, err
	}
	l := &loading{entities: map[item]function.Instance{}, aggregates: map[item]*function.Aggregate{}}
	if err := r.read(ctx, l, items); err != nil {
		return nil, &unreadError{len(items), err}
	}
	out := &sheet{epoch: l.epoch, claim: views.Claim{Deadline: deadline, Epoch: l.epoch.number(), Rewrite: s.rewrite}}
	var failed error
	for _, i := range items {
		rendered, err := r.render(l, i)
		if err != nil {
			failed = err
			continue
		}
		out.add(owner{item: i}, onlyOn(s.masters, rendered))
	}
	if failed != nil {
		r.log.Error("views cannot be rendered: their claims stay in the outbox", "error", failed)
	}
	return out, nil
}

// unreadError says that what views show was not read.
type unreadError struct {
	views int
	cause error
}

func (e *unreadError) Error() string {
	return fmt.Sprintf("reading what %d views show: %v", e.views, e.cause)
}

func (e *unreadError) Unwrap() error { return e.cause }

func isUnread(err error) bool {
	_, is := errors.AsType[*unreadError](err)
	return is
}

func (r *Relay) read(ctx context.Context, l *loading, items []item) error {
	conn, err := r.cfg.Pool.Acquire(ctx)
	if err != nil {
		return err
	}
	// One that is released inside a transaction is closed by the pool.
	defer conn.Release()
	b := &pgx.Batch{}
	b.Queue(beginSnapshot)
	b.Queue(`SELECT ` + postgres.PlanSettings)
	b.Queue(`SELECT epoch FROM millrace.database_epoch`).QueryRow(func(row pgx.Row) error { return row.Scan(&l.epoch) })
	for name, fn := range r.functions {
		l.queueEntities(b, fn, name, items)
		l.queueAggregates(b, name, items)
	}
	b.Queue(`COMMIT`)
	return conn.SendBatch(ctx, b).Close()
}

func (l *loading) queueEntities(b *pgx.Batch, fn function.Definition, name string, items []item) {
	var instances []function.Instance
	var tenants, subjects []string
	for _, i := range items {
		if i.function != name || i.name != "" {
			continue
		}
		instance := fn.NewEntity(function.Head{TenantID: i.tenant, Subject: i.key})
		l.entities[i] = instance
		instances = append(instances, instance)
		tenants, subjects = append(tenants, i.tenant), append(subjects, i.key)
	}
	if len(instances) == 0 {
		return
	}
	b.Queue(readVersions, name, tenants, subjects).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			i := item{function: name}
			var version int64
			if err := rows.Scan(&i.tenant, &i.key, &version); err != nil {
				return err
			}
			l.entities[i].Header().Version = version
		}
		return rows.Err()
	})
	fn.QueueLoadViews(b, instances)
}

func (l *loading) queueAggregates(b *pgx.Batch, name string, items []item) {
	var tenants, names, keys []string
	for _, i := range items {
		if i.function == name && i.name != "" {
			l.aggregates[i] = &function.Aggregate{TenantID: i.tenant, Key: i.key, Fields: map[string]money.Decimal{}}
			tenants, names, keys = append(tenants, i.tenant), append(names, i.name), append(keys, i.key)
		}
	}
	if len(keys) == 0 {
		return
	}
	b.Queue(sumAggregates, name, tenants, names, keys).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			i := item{function: name}
			var field string
			var value money.Decimal
			var version int64
			if err := rows.Scan(&i.tenant, &i.name, &i.key, &field, &value, &version); err != nil {
				return err
			}
			a := l.aggregates[i]
			a.Fields[field] = value
			a.Version += version
		}
		return rows.Err()
	})
}

// render renders the views of an item. One that PostgreSQL does not know, since
// it was decided on a timeline that is lost, shows nothing: a rebuild removes
// what is left of it.
func (r *Relay) render(l *loading, i item) (rendered []views.View, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("rendering %s %s %q of tenant %q: %v", i.function, i.name, i.key, i.tenant, p)
		}
	}()
	fn := r.functions[i.function]
	if a := l.aggregates[i]; a != nil && a.Version > 0 {
		return fn.RenderAggregate(i.name, *a), nil
	}
	if e := l.entities[i]; e != nil && e.Header().Version > 0 {
		return fn.RenderViews(e), nil
	}
	return nil, nil
}
