package invariants

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/money"
	"github.com/millrace/millrace/shared/views"
)

const (
	nextAggregates = `
SELECT DISTINCT ON (tenant_id, function, name, key) tenant_id, name, key
FROM millrace.aggregates
WHERE (tenant_id, function, name, key) > ($2, $1, $3, $4) AND function = $1
ORDER BY tenant_id, function, name, key
LIMIT $5`

	sumAggregates = `
SELECT batch.n, a.field, sum(a.value)::text, sum(a.version)::bigint
FROM unnest($2::int[], $3::text[], $4::text[], $5::text[]) AS batch (n, tenant_id, name, key)
JOIN millrace.aggregates AS a
  ON a.tenant_id = batch.tenant_id AND a.function = $1 AND a.name = batch.name AND a.key = batch.key
GROUP BY batch.n, a.field`
)

// checkShown is I5: Redis shows each entity and each aggregate as PostgreSQL
// has it, and nothing else. What is shown is rendered here from the tables, as
// a rebuild would.
func (c *check) checkShown(ctx context.Context) error {
	if c.deps.Live {
		return nil
	}
	var left int
	if err := c.deps.Pool.QueryRow(ctx, `SELECT count(*) FROM millrace.outbox`).Scan(&left); err != nil {
		return err
	}
	if left > 0 {
		c.brokenf("I5", "rows that the relay has left in the outbox", "%d rows", left)
	}
	var shown []views.View
	for _, fn := range c.deps.Functions {
		compare := func(page []views.View) error {
			shown = append(shown, bare(page)...)
			return c.diff(ctx, page)
		}
		if err := c.showEntities(ctx, fn, compare); err != nil {
			return err
		}
		if err := c.showAggregates(ctx, fn, compare); err != nil {
			return err
		}
	}
	strays, err := views.Strays(ctx, c.deps.Redis, "", shown)
	c.differ("what Redis shows and PostgreSQL does not know", strays)
	return err
}

func (c *check) diff(ctx context.Context, page []views.View) error {
	c.report.Checked.Views += len(page)
	found, err := views.Diff(ctx, c.deps.Redis, page)
	c.differ("what Redis shows otherwise than PostgreSQL has it", found)
	return err
}

func (c *check) differ(what string, found []views.Difference) {
	for _, d := range found {
		c.brokenf("I5", what, "%s", d)
	}
}

func (c *check) showEntities(ctx context.Context, fn function.Definition, compare func([]views.View) error) error {
	return c.pages(ctx, fn, func(ctx context.Context, tx pgx.Tx, heads []function.Head) error {
		list, _ := instances(fn, heads)
		if err := send(ctx, tx, func(b *pgx.Batch) { fn.QueueLoadViews(b, list) }); err != nil {
			return err
		}
		var page []views.View
		for _, i := range list {
			page = append(page, fn.RenderViews(i)...)
		}
		return compare(page)
	})
}

// aggregate is an aggregate by its name.
type aggregate struct {
	function.Aggregate
	name string
}

func (c *check) showAggregates(ctx context.Context, fn function.Definition, compare func([]views.View) error) error {
	last := aggregate{}
	for {
		list, err := c.readAggregates(ctx, fn.FunctionName(), last)
		if err != nil || len(list) == 0 {
			return err
		}
		last = list[len(list)-1]
		var page []views.View
		for _, a := range list {
			page = append(page, fn.RenderAggregate(a.name, a.Aggregate)...)
		}
		if err := compare(page); err != nil {
			return err
		}
	}
}

func (c *check) readAggregates(ctx context.Context, name string, last aggregate) ([]aggregate, error) {
	rows, err := c.deps.Pool.Query(ctx, nextAggregates, name, last.TenantID, last.name, last.Key, pageEntities)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (a aggregate, err error) {
		a.Fields = map[string]money.Decimal{}
		return a, row.Scan(&a.TenantID, &a.name, &a.Key)
	})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	ns := make([]int32, len(list))
	for n := range list {
		ns[n] = int32(n)
	}
	rows, err = c.deps.Pool.Query(ctx, sumAggregates, name, ns,
		function.Column(list, func(a aggregate) string { return a.TenantID }),
		function.Column(list, func(a aggregate) string { return a.name }),
		function.Column(list, func(a aggregate) string { return a.Key }))
	if err != nil {
		return nil, err
	}
	var n int
	var field string
	var value money.Decimal
	var version int64
	_, err = pgx.ForEachRow(rows, []any{&n, &field, &value, &version}, func() error {
		list[n].Fields[field] = value
		list[n].Version += version
		return nil
	})
	return list, err
}

// bare returns views without what they show: enough to know their keys by.
func bare(page []views.View) []views.View {
	out := make([]views.View, len(page))
	for n, v := range page {
		switch v := v.(type) {
		case views.Hash:
			v.Fields = nil
			out[n] = v
		case views.Recent:
			v.Value = ""
			out[n] = v
		default:
			out[n] = v
		}
	}
	return out
}
