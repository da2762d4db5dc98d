package invariants

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/money"
)

const (
	nextAggregates = `
SELECT DISTINCT ON (tenant_id, function, name, key) tenant_id, name, key
FROM millrace.aggregates
WHERE (tenant_id, function, name, key) > ($2, $1, $3, $4) AND function = $1 AND ($6 = '' OR tenant_id = $6)
ORDER BY tenant_id, function, name, key
LIMIT $5`

	sumAggregates = `
SELECT batch.tenant_id, batch.name, batch.key, a.field, sum(a.value)::text, sum(a.version)::bigint
FROM unnest($2::text[], $3::text[], $4::text[]) AS batch (tenant_id, name, key)
JOIN millrace.aggregates AS a
  ON a.tenant_id = batch.tenant_id AND a.function = $1 AND a.name = batch.name AND a.key = batch.key
GROUP BY batch.tenant_id, batch.name, batch.key, a.field`

	pendingItems = `
SELECT DISTINCT batch.name, batch.tenant_id, batch.key
FROM unnest($2::text[], $3::text[], $4::text[]) AS batch (tenant_id, name, key)
JOIN (
    SELECT e.tenant, '' AS name, e.subject AS key
    FROM millrace.outbox AS o
    CROSS JOIN LATERAL json_to_recordset(o.dirty->'entities') AS e (tenant text, subject text)
    WHERE o.function = $1 AND o.dirty IS NOT NULL
    UNION ALL
    SELECT a.tenant, a.name, a.key
    FROM millrace.outbox AS o
    CROSS JOIN LATERAL json_to_recordset(o.dirty->'aggregates') AS a (tenant text, name text, key text)
    WHERE o.function = $1 AND o.dirty IS NOT NULL
) AS dirty ON dirty.tenant = batch.tenant_id AND dirty.name = batch.name AND dirty.key = batch.key`
)

// items calls do with what Redis should show of a function, page by page, each
// of a snapshot that is over by then.
func (c *check) items(ctx context.Context, fn function.Definition, s Scope, do func([]*item) error) error {
	w, err := c.walker(ctx, fn, s)
	if err != nil {
		return err
	}
	for {
		var page []*item
		if err := snapshot(ctx, c.deps.Pool, func(tx pgx.Tx) error {
			heads, err := w.next(ctx, tx)
			if err != nil || len(heads) == 0 {
				return err
			}
			page, err = entityItems(ctx, tx, fn, heads)
			return err
		}); err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		if err := do(page); err != nil {
			return err
		}
	}
	if !c.deps.Scope.whole() {
		return nil
	}
	return c.aggregates(ctx, fn, do)
}

func (c *check) aggregates(ctx context.Context, fn function.Definition, do func([]*item) error) error {
	last := id{}
	for {
		var page []*item
		if err := snapshot(ctx, c.deps.Pool, func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, nextAggregates, fn.FunctionName(), last.tenant, last.name, last.key, pageEntities, c.deps.Scope.Tenant)
			if err != nil {
				return err
			}
			page, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*item, error) {
				i := &item{}
				return i, row.Scan(&i.tenant, &i.name, &i.key)
			})
			if err != nil || len(page) == 0 {
				return err
			}
			return sum(ctx, tx, fn, page)
		}); err != nil || len(page) == 0 {
			return err
		}
		last = page[len(page)-1].id()
		if err := do(page); err != nil {
			return err
		}
	}
}

// sum adds up the buckets of aggregates and renders them.
func sum(ctx context.Context, tx pgx.Tx, fn function.Definition, page []*item) error {
	tenants, names, keys := columnsOf(page)
	rows, err := tx.Query(ctx, sumAggregates, fn.FunctionName(), tenants, names, keys)
	if err != nil {
		return err
	}
	sums := map[id]*function.Aggregate{}
	for _, i := range page {
		sums[i.id()] = &function.Aggregate{TenantID: i.tenant, Key: i.key, Fields: map[string]money.Decimal{}}
	}
	var of id
	var field string
	var value money.Decimal
	var version int64
	if _, err := pgx.ForEachRow(rows, []any{&of.tenant, &of.name, &of.key, &field, &value, &version}, func() error {
		sums[of].Fields[field] = value
		sums[of].Version += version
		return nil
	}); err != nil {
		return err
	}
	for _, i := range page {
		a := sums[i.id()]
		i.version, i.views = a.Version, nil
		if a.Version > 0 {
			i.views = fn.RenderAggregate(i.name, *a)
		}
	}
	return nil
}

// reload reads items afresh, all in one snapshot, and what is still to be told of
// them.
func (c *check) reload(ctx context.Context, fn function.Definition, page []*item) error {
	return snapshot(ctx, c.deps.Pool, func(tx pgx.Tx) error {
		entities, sums := split(page)
		tenants, _, subjects := columnsOf(entities)
		heads, err := readHeads(ctx, tx, theseEntities, fn.FunctionName(), tenants, subjects)
		if err != nil {
			return err
		}
		rendered, err := entityItems(ctx, tx, fn, heads)
		if err != nil {
			return err
		}
		fresh := map[id]*item{}
		for _, i := range rendered {
			fresh[i.id()] = i
		}
		if err := sum(ctx, tx, fn, sums); err != nil {
			return err
		}
		pending, err := stillToTell(ctx, tx, fn, page)
		if err != nil {
			return err
		}
		for _, i := range page {
			if f := fresh[i.id()]; f != nil {
				i.version, i.views = f.version, f.views
			}
			i.pending = pending[i.id()]
		}
		return nil
	})
}

func stillToTell(ctx context.Context, tx pgx.Tx, fn function.Definition, page []*item) (map[id]bool, error) {
	tenants, names, keys := columnsOf(page)
	rows, err := tx.Query(ctx, pendingItems, fn.FunctionName(), tenants, names, keys)
	if err != nil {
		return nil, err
	}
	pending := map[id]bool{}
	var of id
	_, err = pgx.ForEachRow(rows, []any{&of.name, &of.tenant, &of.key}, func() error {
		pending[of] = true
		return nil
	})
	return pending, err
}

// versions reads the versions that items have now.
func (c *check) versions(ctx context.Context, fn function.Definition, page []*item) (map[id]int64, error) {
	now := make([]*item, len(page))
	for n, i := range page {
		now[n] = &item{name: i.name, tenant: i.tenant, key: i.key}
	}
	entities, sums := split(now)
	versions := map[id]int64{}
	return versions, snapshot(ctx, c.deps.Pool, func(tx pgx.Tx) error {
		tenants, _, subjects := columnsOf(entities)
		heads, err := readHeads(ctx, tx, theseEntities, fn.FunctionName(), tenants, subjects)
		if err != nil {
			return err
		}
		for _, h := range heads {
			versions[id{"", h.TenantID, h.Subject}] = h.Version
		}
		if err := sum(ctx, tx, fn, sums); err != nil {
			return err
		}
		for _, i := range sums {
			versions[i.id()] = i.version
		}
		return nil
	})
}

func split(page []*item) (entities, aggregates []*item) {
	for _, i := range page {
		if i.name == "" {
			entities = append(entities, i)
		} else {
			aggregates = append(aggregates, i)
		}
	}
	return entities, aggregates
}

func columnsOf(page []*item) (tenants, names, keys []string) {
	tenants = function.Column(page, func(i *item) string { return i.tenant })
	names = function.Column(page, func(i *item) string { return i.name })
	return tenants, names, function.Column(page, func(i *item) string { return i.key })
}
