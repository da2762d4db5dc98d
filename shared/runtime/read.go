package runtime

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
)

// Making the entities that may be new, and then locking all, both in one order,
// cannot deadlock: who waits for a row being made holds no lock of the second
// kind yet.
const (
	makeEntities = `
INSERT INTO millrace.entities (tenant_id, function, subject)
SELECT tenant_id, $1, subject
FROM unnest($2::text[], $3::text[]) AS batch (tenant_id, subject)
ON CONFLICT DO NOTHING`

	// One row at a time, in the order of the batch and by the index: for a join
	// the planner reads all entities of the function until the table is large and
	// has been analysed.
	lockEntities = `
SELECT e.tenant_id, e.subject, e.version, e.counters, e.redacted
FROM unnest($2::text[], $3::text[]) AS batch (tenant_id, subject)
CROSS JOIN LATERAL (
    SELECT *
    FROM millrace.entities AS e
    WHERE e.tenant_id = batch.tenant_id AND e.function = $1 AND e.subject = batch.subject
    FOR UPDATE
) AS e`

	// What follows are statements of their own, after the lock: in one with it
	// they would see what was there before the lock was waited for.
	readStreams = `
SELECT s.tenant_id, s.subject, s.source, s.position, s.parked
FROM unnest($2::text[], $3::text[], $4::text[]) AS batch (tenant_id, subject, source)
CROSS JOIN LATERAL (
    SELECT *
    FROM millrace.streams AS s
    WHERE s.tenant_id = batch.tenant_id AND s.function = $1 AND s.subject = batch.subject AND s.source = batch.source
    LIMIT 1
) AS s`

	// As above.
	readSeen = `
SELECT s.tenant_id, s.source, s.id, s.subject, s.digest, s.outcome, s.reason, s.version
FROM unnest($1::text[], $2::text[], $3::text[]) AS batch (tenant_id, source, id)
CROSS JOIN LATERAL (
    SELECT *
    FROM millrace.seen AS s
    WHERE s.tenant_id = batch.tenant_id AND s.source = batch.source AND s.id = batch.id
    LIMIT 1
) AS s`

	lockSeen = `
SELECT
FROM (
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::text[]) AS batch (tenant_id, source, id)
    ORDER BY tenant_id, source, id
) AS batch
CROSS JOIN LATERAL (
    SELECT
    FROM millrace.seen AS s
    WHERE s.tenant_id = batch.tenant_id AND s.source = batch.source AND s.id = batch.id
    FOR KEY SHARE
) AS s`

	// The first of the rows come with their events, up to a size; the others only
	// say that they are there.
	readNextParked = `
SELECT p.tenant_id, p.subject, p.source, p.sequence, p.id, p.digest,
       CASE WHEN p.digest IS NULL OR p.before < $7 THEN p.event END, s.digest, s.outcome, s.reason, s.version
FROM (
    SELECT p.*, coalesce(sum(coalesce(p.bytes, 100000)) OVER (
        ORDER BY batch.n, p.sequence ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
    FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[])
      WITH ORDINALITY AS batch (tenant_id, subject, source, position, n)
    CROSS JOIN LATERAL (
        SELECT *
        FROM millrace.parked AS p
        WHERE p.tenant_id = batch.tenant_id AND p.function = $1 AND p.subject = batch.subject
          AND p.source = batch.source AND p.sequence > batch.position
        ORDER BY p.sequence
        LIMIT $6
    ) AS p
) AS p` + joinSeen

	readParkedAt = `
SELECT p.tenant_id, p.subject, p.source, p.sequence, p.id, p.digest,
       CASE WHEN p.digest IS NULL THEN p.event END, s.digest, s.outcome, s.reason, s.version
FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[]) AS batch (tenant_id, subject, source, sequence)
CROSS JOIN LATERAL (
    SELECT *
    FROM millrace.parked AS p
    WHERE p.tenant_id = batch.tenant_id AND p.function = $1 AND p.subject = batch.subject
      AND p.source = batch.source AND p.sequence >= batch.sequence
    ORDER BY p.sequence -- which only the index of streams has: while the table is young, another looks as good
    LIMIT 1
) AS p` + joinSeen + `
WHERE p.sequence = batch.sequence`

	joinSeen = `
LEFT JOIN LATERAL (
    SELECT *
    FROM millrace.seen AS s
    WHERE s.tenant_id = p.tenant_id AND s.source = p.source AND s.id = p.id
    LIMIT 1
) AS s ON true`

	countParked = `
SELECT tenant_id, (
    SELECT count(*) FROM (
        SELECT FROM millrace.parked AS p
        WHERE p.tenant_id = batch.tenant_id AND p.function = $3 AND NOT starts_with(p.source, '/millrace/')
        LIMIT $2) AS counted)
FROM unnest($1::text[]) AS batch (tenant_id)`

	countDead = `
SELECT tenant_id, (SELECT count(*) FROM (
    SELECT FROM millrace.dead_letters AS d
    WHERE d.tenant_id = batch.tenant_id AND d.state = 'open' AND d.kind = 'undecided'
    LIMIT $2) AS counted)
FROM unnest($1::text[]) AS batch (tenant_id)`
)

// queueRead queues the reading of all that planning a batch needs.
func (t *transaction) queueRead(b *pgx.Batch) {
	if unknown := t.made.unknown(t.entityKeys); len(unknown) > 0 {
		tenants, subjects := columns2(unknown)
		b.Queue(makeEntities, t.fn.FunctionName(), tenants, subjects)
	}
	tenants, subjects := columns2(t.entityKeys)
	b.Queue(lockEntities, t.fn.FunctionName(), tenants, subjects).Query(t.scanEntities)
	if keys := t.streamKeys(); len(keys) > 0 {
		tenants, subjects, sources := columns3(keys)
		b.Queue(readStreams, t.fn.FunctionName(), tenants, subjects, sources).Query(t.scanStreams)
	}
	if tenants, sources, ids := t.identities(); len(ids) > 0 {
		b.Queue(readSeen, tenants, sources, ids).Query(t.scanSeen)
	}
	t.known.notEmitted = queueReadDecisions(b, t.decidable())
	t.queueLockLetters(b)
}

func (t *transaction) scanEntities(rows pgx.Rows) error {
	for rows.Next() {
		var head function.Head
		var counters []byte
		var redacted bool
		if err := rows.Scan(&head.TenantID, &head.Subject, &head.Version, &counters, &redacted); err != nil {
			return err
		}
		if redacted {
			t.redacted[entityKey{head.TenantID, head.Subject}] = map[function.Name]bool{}
		}
		if err := json.Unmarshal(counters, &head.Counters); err != nil {
			return fmt.Errorf("counters of entity %s: %w", head.Subject, err)
		}
		entity := t.entities[entityKey{head.TenantID, head.Subject}]
		head.Pending = entity.Header().Pending
		*entity.Header() = head
		t.locked++
	}
	return rows.Err()
}

func (t *transaction) scanStreams(rows pgx.Rows) error {
	for rows.Next() {
		var key streamKey
		var row streamRow
		if err := rows.Scan(&key.tenant, &key.subject, &key.source, &row.position, &row.parked); err != nil {
			return err
		}
		row.waiting = map[int64]*candidate{}
		t.known.streams[key] = &row
	}
	return rows.Err()
}

func (t *transaction) scanSeen(rows pgx.Rows) error {
	for rows.Next() {
		var id identity
		var digest []byte
		row := &seenRow{}
		err := rows.Scan(&id.tenant, &id.source, &id.id, &row.subject, &digest, &row.outcome.Kind, &row.outcome.Reason, &row.outcome.Version)
		if err != nil {
			return err
		}
		row.digest = [32]byte(digest)
		t.known.seen[id] = row
	}
	return rows.Err()
}

// queueReadParked queues the reading of the parked events that the plan p may
// need: the next ones of every stream that moves, and those that hold a
// sequence which an event of the batch wants.
func (t *transaction) queueReadParked(b *pgx.Batch, p *plan) {
	fn := t.fn.FunctionName()
	moving := t.movingStreams(p)
	if len(moving) > 0 {
		tenants, subjects, sources := columns3(moving)
		positions := make([]int64, len(moving))
		for n, key := range moving {
			positions[n] = t.known.streams[key].position
		}
		// The limit is the transaction's. One row more tells whether more is ready.
		t.limits.drain = min(t.limits.drain, max(1, t.limits.drain/len(moving)))
		b.Queue(readNextParked, fn, tenants, subjects, sources, positions, t.limits.drain+1, t.limits.drainBytes).Query(t.scanParked)
	}
	if early := t.early(p, moving); len(early) > 0 {
		keys, sequences := streamsOf(early)
		tenants, subjects, sources := columns3(keys)
		b.Queue(readParkedAt, fn, tenants, subjects, sources, sequences).Query(t.scanParked)
		b.Queue(countParked, tenantsOf(early), t.limits.parked, fn).Query(scanCounts(t.known.parkedOf))
	}
}

// early returns the events of the batch that may have to be parked, or are
// already.
func (t *transaction) early(p *plan, moving []streamKey) []*candidate {
	early := slices.Clone(p.park)
	for _, c := range t.batch {
		if c.invalid == nil && c.event.Sequence > 0 && slices.Contains(moving, c.stream()) &&
			c.event.Sequence > t.known.streams[c.stream()].position+1 {
			early = append(early, c)
		}
	}
	return early
}

// movingStreams returns the streams that have parked events and get nearer to
// them.
func (t *transaction) movingStreams(p *plan) []streamKey {
	var moving []streamKey
	for key, s := range p.streams {
		if row := t.known.streams[key]; row != nil && row.parked > 0 && s.position > row.position {
			moving = append(moving, key)
		}
	}
	for _, key := range t.drains {
		if row := t.known.streams[key]; row != nil && !slices.Contains(moving, key) {
			moving = append(moving, key)
		}
	}
	return moving
}

func (t *transaction) scanParked(rows pgx.Rows) error {
	for rows.Next() {
		var at event.Event // what the columns say
		var digest, raw, seen []byte
		var outcome, reason *string
		var version *int64
		err := rows.Scan(&at.TenantID, &at.Subject, &at.Source, &at.Sequence, &at.ID, &digest, &raw,
			&seen, &outcome, &reason, &version)
		if err != nil {
			return err
		}
		c := t.parkedCandidate(&at, digest, raw)
		if poison := t.poison[c.identity()]; poison != nil {
			c.invalid = poison
		}
		if seen != nil {
			c.seen = &seenRow{digest: [32]byte(seen),
				outcome: Outcome{Kind: OutcomeKind(*outcome), Reason: *reason, Version: *version}}
		}
		// What was read with its event is not replaced by the mere row.
		if s := t.known.streams[c.stream()]; s != nil && (s.waiting[c.event.Sequence] == nil || !c.unread) {
			s.waiting[c.event.Sequence] = c
		}
	}
	return rows.Err()
}

// parkedCandidate makes the candidate of a parked row. One whose event cannot be
// read back, or is not the row's, becomes a dead letter when its turn comes.
func (t *transaction) parkedCandidate(at *event.Event, digest, raw []byte) *candidate {
	if raw == nil {
		return &candidate{event: at, digest: [32]byte(digest), fromDB: true, unread: true}
	}
	c := newCandidate(t.fn, event.ParseStructured(raw), t.now)
	if !c.identified() || c.identity() != (identity{at.TenantID, at.Source, at.ID}) ||
		c.event.Subject != at.Subject || c.event.Sequence != at.Sequence {
		c = &candidate{event: at, raw: raw, invalid: event.Invalidf(event.Malformed, "the parked event cannot be read back")}
	}
	c.fromDB = true
	if digest != nil { // else what parked it was of an older version
		c.digest = [32]byte(digest)
	}
	return c
}

func scanCounts(into map[string]int) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		for rows.Next() {
			var tenant string
			var n int
			if err := rows.Scan(&tenant, &n); err != nil {
				return err
			}
			into[tenant] = n
		}
		return rows.Err()
	}
}

func tenantsOf(events []*candidate) []string {
	var tenants []string
	for _, c := range events {
		tenants = append(tenants, c.event.TenantID)
	}
	slices.Sort(tenants)
	return slices.Compact(tenants)
}

func columns2(keys []entityKey) (tenants, subjects []string) {
	tenants, subjects = make([]string, len(keys)), make([]string, len(keys))
	for n, key := range keys {
		tenants[n], subjects[n] = key.tenant, key.subject
	}
	return tenants, subjects
}

func columns3(keys []streamKey) (tenants, subjects, sources []string) {
	tenants, subjects, sources = make([]string, len(keys)), make([]string, len(keys)), make([]string, len(keys))
	for n, key := range keys {
		tenants[n], subjects[n], sources[n] = key.tenant, key.subject, key.source
	}
	return tenants, subjects, sources
}

func compareEntities(a, b entityKey) int {
	return cmp.Or(cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.subject, b.subject))
}
