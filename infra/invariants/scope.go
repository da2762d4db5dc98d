package invariants

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/function"
)

// Horizon is for how long identities are remembered at least, and so how far
// back Since may reach.
const Horizon = 35 * 24 * time.Hour

// Scope limits which entities are looked at. The zero value is all of them.
type Scope struct {
	// Tenant and Function are whose; empty: everybody's.
	Tenant, Function string
	// Since leaves out entities without a decision at or after it, by the clocks
	// of the functions. Aggregates, and what Redis shows beyond PostgreSQL, are
	// left out with them.
	Since time.Time
}

// whole reports whether every entity of a tenant is looked at.
func (s Scope) whole() bool { return s.Since.IsZero() }

const (
	countEntities = `
SELECT count(*) FROM millrace.entities
WHERE function = ANY ($1) AND ($2 = '' OR tenant_id = $2) AND version > 0`

	// By the index of decided_at: whole blocks of older rows are passed over.
	changedEntities = `
SELECT DISTINCT tenant_id, subject
FROM millrace.seen
WHERE function = $1 AND decided_at >= $2 AND ($3 = '' OR tenant_id = $3)
ORDER BY tenant_id, subject`

	nextEntities = `
SELECT tenant_id, subject, version, counters
FROM millrace.entities
WHERE (tenant_id, function, subject) > ($2, $1, $3) AND function = $1 AND version > 0
ORDER BY tenant_id, function, subject
LIMIT $4`

	nextOfTenant = `
SELECT tenant_id, subject, version, counters
FROM millrace.entities
WHERE tenant_id = $2 AND function = $1 AND subject > $3 AND version > 0
ORDER BY tenant_id, function, subject
LIMIT $4`

	theseEntities = `
SELECT e.tenant_id, e.subject, e.version, e.counters
FROM unnest($2::text[], $3::text[]) AS batch (tenant_id, subject)
JOIN millrace.entities AS e
  ON e.tenant_id = batch.tenant_id AND e.function = $1 AND e.subject = batch.subject
WHERE e.version > 0
ORDER BY e.tenant_id, e.subject`

	allTenants = `SELECT DISTINCT tenant_id FROM millrace.entities WHERE $1 = '' OR tenant_id = $1 ORDER BY tenant_id`
)

// walker goes through the entities of a function, page by page.
type walker struct {
	fn      function.Definition
	tenant  string
	changed []function.Head // those left to be looked at, if all is false
	all     bool
	last    function.Head
}

func (c *check) walker(ctx context.Context, fn function.Definition, s Scope) (*walker, error) {
	w := &walker{fn: fn, tenant: s.Tenant, all: s.whole()}
	if w.all {
		return w, nil
	}
	rows, err := c.deps.Pool.Query(ctx, changedEntities, fn.FunctionName(), s.Since, s.Tenant)
	if err != nil {
		return nil, err
	}
	w.changed, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (h function.Head, err error) {
		return h, row.Scan(&h.TenantID, &h.Subject)
	})
	return w, err
}

// next reads the heads of the next page; none: it was the last one.
func (w *walker) next(ctx context.Context, tx pgx.Tx) ([]function.Head, error) {
	if w.all {
		query, tenant := nextEntities, w.last.TenantID
		if w.tenant != "" {
			query, tenant = nextOfTenant, w.tenant
		}
		heads, err := readHeads(ctx, tx, query, w.fn.FunctionName(), tenant, w.last.Subject, pageEntities)
		if heads = bounded(heads); len(heads) > 0 {
			w.last = heads[len(heads)-1]
		}
		return heads, err
	}
	for len(w.changed) > 0 {
		page := w.changed[:min(pageEntities, len(w.changed))]
		tenants, subjects := keys(page)
		heads, err := readHeads(ctx, tx, theseEntities, w.fn.FunctionName(), tenants, subjects)
		if err != nil {
			return nil, err
		}
		if len(heads) == 0 { // they are known by decisions, and have no row any more
			w.changed = w.changed[len(page):]
			continue
		}
		heads = bounded(heads)
		last := heads[len(heads)-1]
		for len(w.changed) > 0 {
			done := w.changed[0]
			w.changed = w.changed[1:]
			if done.TenantID == last.TenantID && done.Subject == last.Subject {
				break
			}
		}
		return heads, nil
	}
	return nil, nil
}

// count counts the entities that a walk over all functions comes to.
func (c *check) count(ctx context.Context) (n int64, err error) {
	if !c.deps.Scope.whole() {
		for _, fn := range c.deps.Functions {
			w, err := c.walker(ctx, fn, c.deps.Scope)
			if err != nil {
				return 0, err
			}
			n += int64(len(w.changed))
		}
		return n, nil
	}
	err = c.deps.Pool.QueryRow(ctx, countEntities,
		function.Column(c.deps.Functions, function.Definition.FunctionName), c.deps.Scope.Tenant).Scan(&n)
	return n, err
}

// tenants are those that have entities.
func (c *check) tenants(ctx context.Context) ([]string, error) {
	rows, err := c.deps.Pool.Query(ctx, allTenants, c.deps.Scope.Tenant)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
