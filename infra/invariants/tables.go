package invariants

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/event"
)

// rule is a query for the rows that break an invariant: all that it returns.
// Each is one statement, so it judges one snapshot, at work or at rest.
type rule struct {
	invariant string
	what      string
	query     string
}

func (c *check) checkTables(ctx context.Context) error {
	rules := append(identityRules(), orderRules()...)
	if err := c.applyAll(ctx, rules); err != nil {
		return err
	}
	for _, fn := range c.deps.Functions {
		if err := c.applyAll(ctx, saidRules[fn.FunctionName()]); err != nil {
			return err
		}
		if err := c.applyAll(ctx, factRules[fn.FunctionName()], everybody); err != nil {
			return err
		}
	}
	return nil
}

func (c *check) applyAll(ctx context.Context, rules []rule, args ...any) error {
	for _, r := range rules {
		if err := c.apply(ctx, r, args...); err != nil {
			return fmt.Errorf("%s: %w", r.what, err)
		}
	}
	return nil
}

func (c *check) apply(ctx context.Context, r rule, args ...any) error {
	rows, err := c.deps.Pool.Query(ctx, r.query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		row, err := pgx.RowToMap(rows)
		if err != nil {
			return err
		}
		var out strings.Builder
		for _, field := range rows.FieldDescriptions() {
			fmt.Fprintf(&out, "%s=%v ", field.Name, row[field.Name])
		}
		c.brokenf(r.invariant, r.what, "%s", strings.TrimSpace(out.String()))
	}
	return rows.Err()
}

// identityRules are I2: one effect per identity. What was refused may be decided
// once more each time that an operator redrives it.
func identityRules() []rule {
	return []rule{
		{"I2", "identities decided more than once", `
SELECT tenant_id, source, id, count(*) AS decisions,
       string_agg(function || ' ' || subject || ' ' || version, ', ' ORDER BY function, subject, version) AS at
FROM millrace.audit AS a
GROUP BY tenant_id, source, id
HAVING count(*) > 1
   AND (count(*) FILTER (WHERE ` + notRedriven + `) > 1
        OR count(*) FILTER (WHERE outcome = 'applied') > 1
        OR count(*) > 1 + (SELECT count(*) FROM millrace.operations AS o
                           WHERE o.what = 'redrive' AND o.tenant_id = a.tenant_id AND o.source = a.source AND o.event_id = a.id))`},
		{"I2", "identities remembered without the decision", `
SELECT s.tenant_id, s.source, s.id, s.function, s.subject, s.version
FROM millrace.seen AS s
LEFT JOIN millrace.audit AS a
  ON a.tenant_id = s.tenant_id AND a.function = s.function AND a.subject = s.subject AND a.version = s.version
WHERE (a.source, a.id, a.digest, a.outcome, a.reason) IS DISTINCT FROM (s.source, s.id, s.digest, s.outcome, s.reason)`},
		{"I2", "decisions whose identity is not remembered", `
SELECT a.tenant_id, a.source, a.id, a.function, a.subject, a.version
FROM millrace.audit AS a
WHERE a.decided_at > now() - interval '` + horizon + `'
  AND NOT EXISTS (SELECT FROM millrace.seen AS s
                  WHERE s.tenant_id = a.tenant_id AND s.source = a.source AND s.id = a.id)`},
	}
}

// notRedriven is true of decisions that no operator asked for.
const notRedriven = "attributes->>'" + event.DeadLetterExtension + "' IS NULL"

// horizon is for how long identities are remembered at least.
const horizon = "35 days"

// orderRules are I3: versions and sequences without gaps, but for those that an
// operator skipped.
func orderRules() []rule {
	return []rule{
		{"I3", "entities whose versions are not contiguous", `
SELECT tenant_id, function, subject, version, before
FROM (
    SELECT tenant_id, function, subject, version,
           lag(version, 1, 0::bigint) OVER (PARTITION BY tenant_id, function, subject ORDER BY version) AS before
    FROM millrace.audit
) AS versions
WHERE version <> before + 1`},
		{"I3", "entities that are not at the version of their last decision", `
SELECT tenant_id, function, subject, e.version, a.version AS decided
FROM millrace.entities AS e
FULL JOIN (
    SELECT tenant_id, function, subject, max(version) AS version
    FROM millrace.audit
    GROUP BY tenant_id, function, subject
) AS a USING (tenant_id, function, subject)
WHERE e.version IS DISTINCT FROM coalesce(a.version, 0)`},
		{"I3", "streams decided out of sequence", `
SELECT tenant_id, function, subject, source, version, sequence, before
FROM (
    SELECT tenant_id, function, subject, source, version, sequence,
           lag(sequence, 1, 0::bigint) OVER (PARTITION BY tenant_id, function, subject, source ORDER BY version) AS before
    FROM (
        SELECT *, row_number() OVER (PARTITION BY tenant_id, function, subject, source, id ORDER BY version) AS nth
        FROM millrace.audit
        WHERE sequence IS NOT NULL
    ) AS decisions
    WHERE nth = 1 -- a redrive consumes no sequence
) AS sequences
WHERE sequence <= before
   OR sequence - before - 1 > (
        SELECT coalesce(sum(least(o.to_sequence, sequence - 1) - greatest(o.from_sequence, before + 1) + 1), 0)
        FROM millrace.operations AS o
        WHERE o.to_sequence > before AND coalesce(o.from_sequence, 1) < sequence
          AND (o.tenant_id, o.function, o.subject, o.source)
            = (sequences.tenant_id, sequences.function, sequences.subject, sequences.source))`},
		{"I3", "streams that are not at the position of their last decision", `
SELECT tenant_id, function, subject, source, s.position, a.sequence AS decided
FROM millrace.streams AS s
FULL JOIN (
    SELECT tenant_id, function, subject, source, max(sequence) AS sequence
    FROM (
        SELECT tenant_id, function, subject, source, sequence FROM millrace.audit WHERE sequence IS NOT NULL
        UNION ALL
        SELECT tenant_id, function, subject, source, to_sequence FROM millrace.operations WHERE to_sequence IS NOT NULL
    ) AS past
    GROUP BY tenant_id, function, subject, source
) AS a USING (tenant_id, function, subject, source)
WHERE s.position IS DISTINCT FROM coalesce(a.sequence, 0)`},
		{"I3", "streams that miscount what is parked", `
SELECT tenant_id, function, subject, source, s.parked, p.parked AS rows
FROM millrace.streams AS s
FULL JOIN (
    SELECT tenant_id, function, subject, source, count(*) AS parked
    FROM millrace.parked
    GROUP BY tenant_id, function, subject, source
) AS p USING (tenant_id, function, subject, source)
WHERE s.parked IS DISTINCT FROM coalesce(p.parked, 0)`},
		// What is ready and did not fit into a transaction is a claim to drain.
		{"I3", "parked events that wait for nothing", `
SELECT p.tenant_id, p.function, p.subject, p.source, p.sequence, p.id, s.position
FROM millrace.parked AS p
JOIN millrace.streams AS s USING (tenant_id, function, subject, source)
WHERE p.sequence <= s.position
   OR p.sequence = s.position + 1 AND NOT EXISTS (SELECT FROM millrace.outbox AS o WHERE o.drain IS NOT NULL)`},
	}
}
