package invariants

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/infra/records"
	"github.com/millrace/millrace/shared/function"
)

// checkSent is I1 for the sends that the caller knows of.
func (c *check) checkSent(ctx context.Context, known map[string]map[int32]records.Extent) error {
	if c.deps.Sent == nil {
		return nil
	}
	var page []Sent
	for s := range c.deps.Sent {
		c.report.Checked.Sent++
		if s.Topic != "" {
			if x, ok := known[s.Topic][s.Partition]; !ok || s.Offset >= x.End {
				c.brokenf("I1", "acknowledged sends that Kafka does not have", "%s/%d/%d", s.Topic, s.Partition, s.Offset)
			}
		}
		if s.ID != "" {
			page = append(page, s)
		}
		if len(page) == pageRecords {
			if err := c.checkIdentities(ctx, page); err != nil {
				return err
			}
			page = page[:0]
		}
	}
	return c.checkIdentities(ctx, page)
}

const findIdentities = `
SELECT batch.n
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[]) AS batch (n, tenant_id, source, id)
WHERE NOT EXISTS (SELECT FROM millrace.seen AS s WHERE s.tenant_id = batch.tenant_id AND s.source = batch.source AND s.id = batch.id)
  AND NOT EXISTS (SELECT FROM millrace.parked AS p WHERE p.tenant_id = batch.tenant_id AND p.source = batch.source AND p.id = batch.id)
  AND NOT EXISTS (SELECT FROM millrace.dead_letters AS d
                  WHERE d.tenant_id = batch.tenant_id AND d.source = batch.source AND d.event_id = batch.id)`

func (c *check) checkIdentities(ctx context.Context, page []Sent) error {
	ns := make([]int32, len(page))
	for n := range page {
		ns[n] = int32(n)
	}
	rows, err := c.deps.Pool.Query(ctx, findIdentities, ns,
		function.Column(page, func(s Sent) string { return s.TenantID }),
		function.Column(page, func(s Sent) string { return s.Source }),
		function.Column(page, func(s Sent) string { return s.ID }))
	if err != nil {
		return err
	}
	missing, err := pgx.CollectRows(rows, pgx.RowTo[int])
	slices.Sort(missing)
	for _, n := range missing {
		c.brokenf("I1", "acknowledged events without an effect", "tenant %s, source %s, id %s", page[n].TenantID, page[n].Source, page[n].ID)
	}
	return err
}
