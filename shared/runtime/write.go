package runtime

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/outbox"
)

const (
	insertSeen = `
INSERT INTO millrace.seen (tenant_id, source, id, digest, outcome, reason, function, subject, version, decided_at)
SELECT tenant_id, source, id, digest, outcome, reason, $1, subject, version, $2
FROM unnest($3::text[], $4::text[], $5::text[], $6::bytea[], $7::text[], $8::text[], $9::text[], $10::bigint[])
  AS batch (tenant_id, source, id, digest, outcome, reason, subject, version)`

	insertAudit = `
INSERT INTO millrace.audit (month, tenant_id, function, subject, version, outcome, reason, source, id, type,
                            time, sequence, digest, data, attributes, decided_at)
SELECT month, tenant_id, $1, subject, version, outcome, reason, source, id, type,
       time, nullif(sequence, 0), digest, data, attributes, $2
FROM unnest($3::text[], $4::text[], $5::text[], $6::bytea[], $7::text[], $8::text[], $9::text[], $10::bigint[],
            $11::date[], $12::text[], $13::timestamptz[], $14::bigint[], $15::json[], $16::json[])
  AS batch (tenant_id, source, id, digest, outcome, reason, subject, version,
            month, type, time, sequence, data, attributes)`

	// They are there: a conflict finds each by the index, whatever the planner
	// knows of the table.
	updateEntities = `
INSERT INTO millrace.entities (tenant_id, function, subject, version, counters)
SELECT tenant_id, $1, subject, version, counters
FROM unnest($2::text[], $3::text[], $4::bigint[], $5::json[]) AS batch (tenant_id, subject, version, counters)
ON CONFLICT (tenant_id, function, subject)
DO UPDATE SET version = excluded.version, counters = excluded.counters`

	upsertStreams = `
INSERT INTO millrace.streams AS s (tenant_id, function, subject, source, position, parked)
SELECT tenant_id, $1, subject, source, position, parked
FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::int[])
  AS batch (tenant_id, subject, source, position, parked)
ON CONFLICT (tenant_id, function, subject, source)
DO UPDATE SET position = excluded.position, parked = excluded.parked`

	insertParked = `
INSERT INTO millrace.parked (tenant_id, function, subject, source, sequence, id, digest, event, parked_at, bytes)
SELECT tenant_id, $1, subject, source, sequence, id, digest, event, $2, octet_length(event::text)
FROM unnest($3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::bytea[], $9::json[])
  AS batch (tenant_id, subject, source, sequence, id, digest, event)`

	// By where they lie, since a join by key may read all that a young table has.
	// The entities' locks keep them there. A place is one within its partition:
	// before migration 00041 there are some.
	deleteParked = `
DELETE FROM millrace.parked AS p
USING (
    SELECT p.place, p.ctid
    FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[]) AS batch (tenant_id, subject, source, sequence)
    CROSS JOIN LATERAL (
        SELECT p.tableoid AS place, p.ctid, p.sequence
        FROM millrace.parked AS p
        WHERE p.tenant_id = batch.tenant_id AND p.function = $1 AND p.subject = batch.subject
          AND p.source = batch.source AND p.sequence >= batch.sequence
        ORDER BY p.sequence
        LIMIT 1
    ) AS p
    WHERE p.sequence = batch.sequence
) AS done
WHERE p.ctid = done.ctid AND p.tableoid = done.place`

	// Not of the future, if the clock of the process is ahead: nobody would see it
	// who looks at what there is by now.
	insertDeadLetters = `
INSERT INTO millrace.dead_letters (id, function, tenant_id, source, event_id, type, subject,
                                   kind, reason, cause, digest, event, created_at)
SELECT id, $1, tenant_id, source, event_id, type, subject, kind, reason, cause, digest, event, least($2, now())
FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::text[], $10::text[], $11::text[], $12::bytea[], $13::bytea[])
  AS batch (id, tenant_id, source, event_id, type, subject, kind, reason, cause, digest, event)
ON CONFLICT (id) DO UPDATE SET state = 'open' WHERE dead_letters.state = 'redriven'`

	// Sorted, so that two transactions that meet in several rows wait, but do
	// not deadlock.
	addAggregates = `
INSERT INTO millrace.aggregates AS a (tenant_id, function, name, key, field, bucket, value, version)
SELECT tenant_id, $1, name, key, field, $2, value::numeric, 1
FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
  AS batch (tenant_id, name, key, field, value)
ORDER BY tenant_id, name, key, field
ON CONFLICT (tenant_id, function, name, key, field, bucket)
DO UPDATE SET value = a.value + excluded.value, version = a.version + 1`
)

// queueWrite queues the statements that make p's decisions last. Their number
// does not depend on the size of the batch.
func (t *transaction) queueWrite(b *pgx.Batch, p *plan) error {
	if len(t.decisions) > 0 {
		t.queueForget(b, p)
		if err := t.queueDecisions(b); err != nil {
			return err
		}
	}
	t.queueStreams(b, p)
	t.queueDeadLetters(b, p)
	t.queueSettle(b, p)
	return nil
}

// queueTelling queues what others want to know. The aggregates come last, so
// that the rows which everybody wants are held for the commit only.
func (t *transaction) queueTelling(b *pgx.Batch) error {
	t.claim.Function = t.fn.FunctionName()
	t.claimAggregates()
	if !t.claim.Empty() {
		if err := t.claim.Queue(b, t.now); err != nil {
			return err
		}
	}
	t.queueAggregates(b)
	return nil
}

func (t *transaction) queueDecisions(b *pgx.Batch) error {
	n := len(t.decisions)
	tenants, sources, ids, subjects := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	outcomes, reasons, types := make([]string, n), make([]string, n), make([]string, n)
	digests, data, attributes := make([][]byte, n), make([][]byte, n), make([][]byte, n)
	versions, sequences := make([]int64, n), make([]int64, n)
	months, times := make([]time.Time, n), make([]time.Time, n)
	decided := map[entityKey]bool{}
	for i, d := range t.decisions {
		e := d.event
		tenants[i], sources[i], ids[i], subjects[i], types[i] = e.TenantID, e.Source, e.ID, e.Subject, e.Type
		outcomes[i], reasons[i], versions[i] = string(d.outcome.Kind), d.outcome.Reason, d.outcome.Version
		digests[i], data[i], attributes[i] = d.digest[:], e.Data, d.otherAttributes()
		sequences[i], months[i], times[i] = e.Sequence, e.Month(), e.Time
		decided[d.entity()] = true
	}
	fn := t.fn.FunctionName()
	b.Queue(insertSeen, fn, t.now, tenants, sources, ids, digests, outcomes, reasons, subjects, versions)
	b.Queue(insertAudit, fn, t.now, tenants, sources, ids, digests, outcomes, reasons, subjects, versions,
		months, types, times, sequences, data, attributes)
	return t.queueEntities(b, t.instancesIn(decided))
}

func (t *transaction) queueEntities(b *pgx.Batch, entities []function.Instance) error {
	n := len(entities)
	tenants, subjects, versions, counters := make([]string, n), make([]string, n), make([]int64, n), make([][]byte, n)
	for i, entity := range entities {
		head := entity.Header()
		encoded, err := json.Marshal(head.Counters)
		if err != nil {
			return fmt.Errorf("counters of entity %s: %w", head.Subject, err)
		}
		tenants[i], subjects[i], versions[i], counters[i] = head.TenantID, head.Subject, head.Version, encoded
		t.claim.Entities = append(t.claim.Entities,
			outbox.Entity{TenantID: head.TenantID, Subject: head.Subject, Version: head.Version})
		t.claim.Views = append(t.claim.Views, t.fn.RenderViews(entity)...)
	}
	b.Queue(updateEntities, t.fn.FunctionName(), tenants, subjects, versions, counters)
	t.fn.QueueSave(b, entities)
	return nil
}

func (t *transaction) queueStreams(b *pgx.Batch, p *plan) {
	fn := t.fn.FunctionName()
	if len(p.streams) > 0 {
		keys := slices.Collect(maps.Keys(p.streams))
		positions, parked := make([]int64, len(keys)), make([]int32, len(keys))
		for n, key := range keys {
			s := p.streams[key]
			positions[n], parked[n] = s.position, int32(s.parked)
			if s.more {
				t.claim.Drain = append(t.claim.Drain,
					outbox.Stream{TenantID: key.tenant, Subject: key.subject, Source: key.source})
			}
		}
		tenants, subjects, sources := columns3(keys)
		b.Queue(upsertStreams, fn, tenants, subjects, sources, positions, parked)
	}
	if len(p.unpark) > 0 {
		keys, sequences := streamsOf(p.unpark)
		tenants, subjects, sources := columns3(keys)
		b.Queue(deleteParked, fn, tenants, subjects, sources, sequences)
	}
	if len(p.park) > 0 {
		keys, sequences := streamsOf(p.park)
		tenants, subjects, sources := columns3(keys)
		ids, digests, events := make([]string, len(p.park)), make([][]byte, len(p.park)), make([][]byte, len(p.park))
		for n, c := range p.park {
			ids[n], digests[n], events[n] = c.event.ID, c.digest[:], event.AppendJSON(nil, c.event)
		}
		b.Queue(insertParked, fn, t.now, tenants, subjects, sources, sequences, ids, digests, events)
	}
}

func streamsOf(events []*candidate) (keys []streamKey, sequences []int64) {
	keys, sequences = make([]streamKey, len(events)), make([]int64, len(events))
	for n, c := range events {
		keys[n], sequences[n] = c.stream(), c.event.Sequence
	}
	return keys, sequences
}

// queueDeadLetters writes what could not be decided and what was refused.
func (t *transaction) queueDeadLetters(b *pgx.Batch, p *plan) {
	rows := deadLetters{confidential: t.confidential}
	for _, d := range p.dead {
		if d.letter != nil { // it is one already
			continue
		}
		rows.add(t.fn.FunctionName(), d.candidate, undecidedKind, d.why.Reason, d.why.Detail)
	}
	for _, d := range t.decisions {
		if d.outcome.Kind == Refused && !slices.Contains(p.redriven, d.candidate) {
			rows.add(t.fn.FunctionName(), d.candidate, refusedKind, d.outcome.Reason, d.outcome.Detail)
		}
	}
	if len(rows.ids) == 0 {
		return
	}
	t.claim.DeadLetters = rows.ids
	b.Queue(insertDeadLetters, t.fn.FunctionName(), t.now, rows.ids, rows.tenants, rows.sources, rows.eventIDs,
		rows.types, rows.subjects, rows.kinds, rows.reasons, rows.causes, rows.digests, rows.events)
}

type deadLetters struct {
	confidential                                                        bool // the function's events may be redacted
	ids                                                                 []uuid.UUID
	tenants, sources, eventIDs, types, subjects, kinds, reasons, causes []string
	digests, events                                                     [][]byte
}

// add adds a row. Its id follows from what the event is and why it is here, so
// that a redelivery makes no second one; one that was redriven and fails again
// is open again.
func (r *deadLetters) add(function string, c *candidate, kind, reason, cause string) {
	e := c.labels()
	raw := c.raw
	if c.event != nil && raw == nil {
		raw = event.AppendJSON(nil, c.event)
	}
	hash := sha256.New()
	content, digest := c.digest[:], c.digest[:]
	if !c.storable() {
		content, digest = raw, nil
	}
	for _, part := range [][]byte{[]byte(function), []byte(kind), []byte(reason),
		[]byte(e.TenantID), []byte(e.Source), []byte(e.ID), content} {
		fmt.Fprintf(hash, "%d:%s", len(part), part)
	}
	id, _ := uuid.FromBytes(hash.Sum(nil)[:16]) // 16 bytes: no error
	if slices.Contains(r.ids, id) {
		return
	}
	r.ids = append(r.ids, id)
	r.tenants = append(r.tenants, e.TenantID)
	r.sources = append(r.sources, e.Source)
	r.eventIDs = append(r.eventIDs, e.ID)
	r.types = append(r.types, e.Type)
	r.subjects = append(r.subjects, e.Subject)
	r.kinds = append(r.kinds, kind)
	r.reasons = append(r.reasons, reason)
	r.causes = append(r.causes, storableText(cause))
	if r.confidential && !c.storable() {
		raw = event.Envelope(raw) // no redaction could ever find it
	}
	r.digests = append(r.digests, digest)
	r.events = append(r.events, raw)
}

func (t *transaction) claimAggregates() {
	claimed := map[outbox.Aggregate]bool{}
	for key := range t.deltas {
		a := outbox.Aggregate{TenantID: key.tenant, Name: key.name, Key: key.key}
		if !claimed[a] {
			claimed[a] = true
			t.claim.Aggregates = append(t.claim.Aggregates, a)
		}
	}
}

func (t *transaction) queueAggregates(b *pgx.Batch) {
	if len(t.deltas) == 0 {
		return
	}
	keys := slices.SortedFunc(maps.Keys(t.deltas), func(a, b deltaKey) int {
		return cmp.Or(cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.name, b.name),
			cmp.Compare(a.key, b.key), cmp.Compare(a.field, b.field))
	})
	n := len(keys)
	tenants, names, ks, fields, values := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i, key := range keys {
		tenants[i], names[i], ks[i], fields[i] = key.tenant, key.name, key.key, key.field
		values[i] = t.deltas[key].String()
	}
	b.Queue(addAggregates, t.fn.FunctionName(), t.bucket, tenants, names, ks, fields, values)
}
