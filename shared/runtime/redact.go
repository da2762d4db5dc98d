package runtime

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
)

const (
	insertRedactions = `
INSERT INTO millrace.redactions (tenant_id, function, subject, source, id, version, redacted_at)
SELECT tenant_id, $1, subject, source, id, version, $2
FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[])
  AS batch (tenant_id, subject, source, id, version)
ON CONFLICT DO NOTHING`

	markEntities = `
UPDATE millrace.entities AS e
SET redacted = true
FROM unnest($2::text[], $3::text[]) AS batch (tenant_id, subject)
WHERE e.tenant_id = batch.tenant_id AND e.function = $1 AND e.subject = batch.subject AND NOT e.redacted`

	// What the data says is judged by the function, not here.
	readAuditCopies = `
SELECT a.month, a.tenant_id, a.subject, a.version, a.source, a.id, a.type, a.data
FROM unnest($2::text[], $3::text[]) AS batch (tenant_id, subject)
JOIN millrace.audit AS a
  ON a.tenant_id = batch.tenant_id AND a.function = $1 AND a.subject = batch.subject
WHERE a.type = ANY ($4)
   OR (a.tenant_id, a.source, a.id) IN (SELECT * FROM unnest($5::text[], $6::text[], $7::text[]))`

	readParkedCopies = `
SELECT p.tenant_id, p.subject, p.source, p.sequence, p.id, p.event
FROM unnest($2::text[], $3::text[]) AS batch (tenant_id, subject)
JOIN millrace.parked AS p
  ON p.tenant_id = batch.tenant_id AND p.function = $1 AND p.subject = batch.subject`

	readDeadCopies = `
SELECT d.id, d.tenant_id, d.subject, d.source, d.event_id, d.type, d.event
FROM millrace.dead_letters AS d
WHERE d.function = $1 AND d.id IN (
    SELECT o.id
    FROM unnest($2::text[], $3::text[]) AS batch (tenant_id, subject)
    JOIN millrace.dead_letters AS o
      ON o.tenant_id = batch.tenant_id AND o.function = $1 AND o.subject = batch.subject
    UNION
    SELECT o.id
    FROM unnest($4::text[], $5::text[], $6::text[]) AS batch (tenant_id, source, id)
    JOIN millrace.dead_letters AS o
      ON o.tenant_id = batch.tenant_id AND o.source = batch.source AND o.event_id = batch.id)`

	overwriteAudit = `
UPDATE millrace.audit AS a
SET data = batch.data
FROM unnest($2::date[], $3::text[], $4::text[], $5::bigint[], $6::json[])
  AS batch (month, tenant_id, subject, version, data)
WHERE a.month = batch.month AND a.tenant_id = batch.tenant_id AND a.function = $1
  AND a.subject = batch.subject AND a.version = batch.version`

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

// copies are the stored copies of what a transaction redacts, as they are to be
// overwritten. What the transaction itself wrote is among them.
type copies struct {
	transaction *transaction
	own         map[identity]bool
	of          map[entityKey]map[function.Name]bool

	audit  []auditCopy
	parked []eventCopy
	dead   []eventCopy
}

type auditCopy struct {
	month time.Time
	entityKey
	version int64
	data    []byte
}

type eventCopy struct {
	row    *event.Event // what the columns say
	letter uuid.UUID    // of a dead letter
	digest []byte       // of what was there; nil if it cannot be read
	event  []byte
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

// masked returns e without what is confidential, or nil if it is not concerned.
func (c *copies) masked(e *event.Event) *event.Event {
	payload, _ := c.transaction.fn.Decode(e) // nil if it cannot be
	if !c.own[identity{e.TenantID, e.Source, e.ID}] &&
		!function.Concerns(e, payload, c.of[entityKey{e.TenantID, e.Subject}]) {
		return nil
	}
	return function.Masked(e, payload)
}

func (c *copies) scanAudit(rows pgx.Rows) error {
	for rows.Next() {
		e, row := &event.Event{IsJSON: true}, auditCopy{}
		if err := rows.Scan(&row.month, &e.TenantID, &e.Subject, &row.version, &e.Source, &e.ID, &e.Type, &e.Data); err != nil {
			return err
		}
		masked := c.masked(e)
		if masked == nil || bytes.Equal(masked.Data, e.Data) {
			continue
		}
		row.tenant, row.subject, row.data = e.TenantID, e.Subject, masked.Data
		if row.data == nil { // of a type that this version does not know
			row.data = []byte("{}")
		}
		c.audit = append(c.audit, row)
	}
	return rows.Err()
}

func (c *copies) scanParked(rows pgx.Rows) error {
	for rows.Next() {
		row := &event.Event{}
		var raw []byte
		if err := rows.Scan(&row.TenantID, &row.Subject, &row.Source, &row.Sequence, &row.ID, &raw); err != nil {
			return err
		}
		if o, is := c.overwrite(row, raw); is {
			c.parked = append(c.parked, o)
		}
	}
	return rows.Err()
}

func (c *copies) scanDead(rows pgx.Rows) error {
	for rows.Next() {
		row := &event.Event{}
		var id uuid.UUID
		var raw []byte
		if err := rows.Scan(&id, &row.TenantID, &row.Subject, &row.Source, &row.ID, &row.Type, &raw); err != nil {
			return err
		}
		if o, is := c.overwrite(row, raw); is {
			o.letter = id
			c.dead = append(c.dead, o)
		}
	}
	return rows.Err()
}

// overwrite says what becomes of a CloudEvent in JSON, or of the bytes in its
// place, which are judged by what the row says of them.
func (c *copies) overwrite(row *event.Event, raw []byte) (o eventCopy, is bool) {
	o.row = row
	e := event.ParseStructured(raw).Event
	if e == nil {
		e = row
		e.Data = raw
	} else {
		digest := e.Digest()
		o.digest = digest[:]
	}
	masked := c.masked(e)
	if masked == nil {
		return o, false
	}
	o.event = event.AppendJSON(nil, masked)
	return o, !bytes.Equal(o.event, raw)
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
