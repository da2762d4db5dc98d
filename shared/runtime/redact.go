package runtime

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millrace/millrace/shared/function"
)

const (
	insertRedactions = `
INSERT INTO millrace.redactions (tenant_id, function, subject, source, id, version, redacted_at)
SELECT tenant_id, $1, subject, source, id, version, $2
FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[])
  AS batch (tenant_id, subject, source, id, version)
ON CONFLICT DO NOTHING`

	// They are there: a conflict finds each by the index, whatever the planner
	// knows of the table.
	markEntities = `
INSERT INTO millrace.entities AS e (tenant_id, function, subject)
SELECT tenant_id, $1, subject
FROM unnest($2::text[], $3::text[]) AS batch (tenant_id, subject)
ON CONFLICT (tenant_id, function, subject)
DO UPDATE SET redacted = true WHERE NOT e.redacted`

	// What the data says is judged by the function, not here.
	readAuditCopies = `
SELECT a.month, a.tenant_id, a.subject, a.version, a.source, a.id, a.type, a.data
FROM unnest($2::text[], $3::text[]) AS batch (tenant_id, subject)
CROSS JOIN LATERAL (
    SELECT *
    FROM millrace.audit AS a
    WHERE a.tenant_id = batch.tenant_id AND a.function = $1 AND a.subject = batch.subject
    ORDER BY a.version -- else it is a join, for which a young table is read whole
) AS a
WHERE a.type = ANY ($4)
   OR (a.tenant_id, a.source, a.id) IN (SELECT * FROM unnest($5::text[], $6::text[], $7::text[]))`

	readParkedCopies = `
SELECT p.tenant_id, p.subject, p.source, p.sequence, p.id, p.event
FROM unnest($2::text[], $3::text[]) AS batch (tenant_id, subject)
CROSS JOIN LATERAL (
    SELECT *
    FROM millrace.parked AS p
    WHERE p.tenant_id = batch.tenant_id AND p.function = $1 AND p.subject = batch.subject
    ORDER BY p.source, p.sequence -- as above
) AS p`

	readDeadCopies = `
SELECT d.id, d.tenant_id, d.subject, d.source, d.event_id, d.type, d.event
FROM millrace.dead_letters AS d
WHERE d.id IN (
    SELECT o.id
    FROM unnest($2::text[], $3::text[]) AS batch (tenant_id, subject)
    JOIN millrace.dead_letters AS o
      ON o.tenant_id = batch.tenant_id AND o.function = $1 AND o.subject = batch.subject
    UNION
    SELECT o.id
    FROM unnest($4::text[], $5::text[], $6::text[]) AS batch (tenant_id, source, id)
    JOIN millrace.dead_letters AS o
      ON o.tenant_id = batch.tenant_id AND o.source = batch.source AND o.event_id = batch.id)`

	// As above.
	overwriteAudit = `
INSERT INTO millrace.audit (month, tenant_id, function, subject, version, outcome, reason, source, id, type,
                            time, sequence, digest, data, attributes, decided_at)
SELECT a.month, a.tenant_id, a.function, a.subject, a.version, a.outcome, a.reason, a.source, a.id, a.type,
       a.time, a.sequence, a.digest, batch.data, a.attributes, a.decided_at
FROM unnest($2::date[], $3::text[], $4::text[], $5::bigint[], $6::json[])
  AS batch (month, tenant_id, subject, version, data)
CROSS JOIN LATERAL (
    SELECT *
    FROM millrace.audit AS a
    WHERE a.month = batch.month AND a.tenant_id = batch.tenant_id AND a.function = $1
      AND a.subject = batch.subject AND a.version = batch.version
    LIMIT 1
) AS a
ON CONFLICT (tenant_id, function, subject, version, month)
DO UPDATE SET data = excluded.data`

	overwriteParked = `
UPDATE millrace.parked AS p
SET event = batch.event, digest = coalesce(p.digest, batch.digest)
FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::bytea[], $7::json[])
  AS batch (tenant_id, subject, source, sequence, digest, event)
WHERE p.tenant_id = batch.tenant_id AND p.function = $1 AND p.subject = batch.subject
  AND p.source = batch.source AND p.sequence = batch.sequence`

	overwriteDead = `
UPDATE millrace.dead_letters AS d
SET event = batch.event, digest = coalesce(d.digest, batch.digest)
FROM unnest($1::uuid[], $2::bytea[], $3::bytea[]) AS batch (id, digest, event)
WHERE d.id = batch.id`
)

// redaction is an event that a decision redacts.
type redaction struct {
	entityKey
	function.Name
	version int64
}

// redact sends b, reads what is stored of the events that are redacted, and
// returns the statements that overwrite it. How many there are does not depend
// on the size of the batch.
func (t *transaction) redact(ctx context.Context, conn *pgxpool.Conn, b *pgx.Batch) (*pgx.Batch, error) {
	c := &copies{transaction: t, own: map[identity]bool{}, of: map[entityKey]map[function.Name]bool{}}
	c.queueRead(b)
	if err := conn.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("writing, and reading what is to be redacted: %w", err)
	}
	b = &pgx.Batch{}
	c.queueOverwrite(b)
	return b, nil
}

func (c *copies) queueRead(b *pgx.Batch) {
	t, fn := c.transaction, c.transaction.fn.FunctionName()
	for _, r := range t.redactions {
		if c.of[r.entityKey] == nil {
			c.of[r.entityKey] = map[function.Name]bool{}
		}
		c.of[r.entityKey][r.Name] = true
		c.own[identity{r.tenant, r.Source, r.ID}] = true
	}
	entityTenants, entitySubjects := columns2(slices.Collect(maps.Keys(c.of)))
	tenants := function.Column(t.redactions, func(r redaction) string { return r.tenant })
	sources := function.Column(t.redactions, func(r redaction) string { return r.Source })
	ids := function.Column(t.redactions, func(r redaction) string { return r.ID })
	b.Queue(insertRedactions, fn, t.now, tenants,
		function.Column(t.redactions, func(r redaction) string { return r.subject }), sources, ids,
		function.Column(t.redactions, func(r redaction) int64 { return r.version }))
	b.Queue(markEntities, fn, entityTenants, entitySubjects)
	b.Queue(readAuditCopies, fn, entityTenants, entitySubjects, t.referring, tenants, sources, ids).Query(c.scanAudit)
	b.Queue(readParkedCopies, fn, entityTenants, entitySubjects).Query(c.scanParked)
	b.Queue(readDeadCopies, fn, entityTenants, entitySubjects, tenants, sources, ids).Query(c.scanDead)
}

func (c *copies) queueOverwrite(b *pgx.Batch) {
	fn := c.transaction.fn.FunctionName()
	if len(c.audit) > 0 {
		b.Queue(overwriteAudit, fn,
			function.Column(c.audit, func(r auditCopy) time.Time { return r.month }),
			function.Column(c.audit, func(r auditCopy) string { return r.tenant }),
			function.Column(c.audit, func(r auditCopy) string { return r.subject }),
			function.Column(c.audit, func(r auditCopy) int64 { return r.version }),
			function.Column(c.audit, func(r auditCopy) []byte { return r.data }))
	}
	if len(c.parked) > 0 {
		b.Queue(overwriteParked, fn,
			function.Column(c.parked, func(o eventCopy) string { return o.row.TenantID }),
			function.Column(c.parked, func(o eventCopy) string { return o.row.Subject }),
			function.Column(c.parked, func(o eventCopy) string { return o.row.Source }),
			function.Column(c.parked, func(o eventCopy) int64 { return o.row.Sequence }),
			function.Column(c.parked, func(o eventCopy) []byte { return o.digest }),
			function.Column(c.parked, func(o eventCopy) []byte { return o.event }))
	}
	if len(c.dead) > 0 {
		b.Queue(overwriteDead,
			function.Column(c.dead, func(o eventCopy) uuid.UUID { return o.letter }),
			function.Column(c.dead, func(o eventCopy) []byte { return o.digest }),
			function.Column(c.dead, func(o eventCopy) []byte { return o.event }))
	}
}
