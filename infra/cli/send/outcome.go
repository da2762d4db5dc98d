package send

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Verdict is what became of an event.
type Verdict string

// The verdicts. A parked event may be decided later.
const (
	Applied    Verdict = "applied"
	Refused    Verdict = "refused"
	Duplicate  Verdict = "duplicate"
	Parked     Verdict = "parked"
	DeadLetter Verdict = "dead letter"
	Undecided  Verdict = "undecided"
)

// Outcome is a verdict with its explanation.
type Outcome struct {
	Verdict Verdict
	// Version of the entity that the decision made, 0 if there is none.
	Version int64
	Detail  string
	// fresh tells whether it came about after the sending began: an older row
	// tells of an earlier event with the same id.
	fresh bool
}

// identity names an event in the database.
type identity struct{ tenant, source, id string }

func (e Event) identity() identity { return identity{e.Tenant, e.Source, e.ID} }

// What a rule says about a refused event stands in its dead letter alone.
const selectSeen = `
SELECT tenant_id, source, id, s.outcome, s.reason, s.version, s.decided_at >= $4,
       coalesce((SELECT ': ' || d.cause FROM millrace.dead_letters AS d
                 WHERE d.tenant_id = s.tenant_id AND d.source = s.source AND d.event_id = s.id
                   AND d.kind = 'refused' AND s.outcome = 'refused'
                 ORDER BY d.created_at DESC LIMIT 1), '')
FROM millrace.seen AS s
JOIN unnest($1::text[], $2::text[], $3::text[]) AS sent (tenant_id, source, id) USING (tenant_id, source, id)`

const selectDeadLetters = `
SELECT d.tenant_id, d.source, d.event_id, d.reason, d.cause, d.created_at >= $4
FROM millrace.dead_letters AS d
JOIN unnest($1::text[], $2::text[], $3::text[]) AS sent (tenant_id, source, id)
  ON d.tenant_id = sent.tenant_id AND d.source = sent.source AND d.event_id = sent.id
WHERE d.kind = 'undecided' AND d.state = 'open'`

const selectParked = `
SELECT p.tenant_id, p.source, p.id, p.sequence, coalesce(s.position, 0) + 1, p.parked_at >= $4
FROM millrace.parked AS p
JOIN unnest($1::text[], $2::text[], $3::text[]) AS sent (tenant_id, source, id) USING (tenant_id, source, id)
LEFT JOIN millrace.streams AS s USING (tenant_id, function, subject, source)`

// lookUp asks the database about events. Where an event has several rows the
// freshest kind wins: a decision over a dead letter over parked.
func lookUp(ctx context.Context, conn *pgx.Conn, ids []identity, since time.Time) (map[identity]Outcome, error) {
	columns := [3][]string{}
	for _, id := range ids {
		columns[0] = append(columns[0], id.tenant)
		columns[1] = append(columns[1], id.source)
		columns[2] = append(columns[2], id.id)
	}
	found := map[identity]Outcome{}
	add := func(id identity, o Outcome) {
		if old, ok := found[id]; !ok || (o.fresh && !old.fresh) {
			found[id] = o
		}
	}
	args := []any{columns[0], columns[1], columns[2], since}
	var batch pgx.Batch
	batch.Queue(selectSeen, args...).Query(func(rows pgx.Rows) error {
		var id identity
		var o Outcome
		var reason, cause string
		_, err := pgx.ForEachRow(rows, []any{&id.tenant, &id.source, &id.id, &o.Verdict, &reason, &o.Version, &o.fresh, &cause}, func() error {
			o.Detail = reason + cause
			add(id, o)
			return nil
		})
		return err
	})
	batch.Queue(selectDeadLetters, args...).Query(func(rows pgx.Rows) error {
		var id identity
		var reason, cause string
		var fresh bool
		_, err := pgx.ForEachRow(rows, []any{&id.tenant, &id.source, &id.id, &reason, &cause, &fresh}, func() error {
			add(id, Outcome{Verdict: DeadLetter, Detail: reason + ": " + cause, fresh: fresh})
			return nil
		})
		return err
	})
	batch.Queue(selectParked, args...).Query(func(rows pgx.Rows) error {
		var id identity
		var sequence, next int64
		var fresh bool
		_, err := pgx.ForEachRow(rows, []any{&id.tenant, &id.source, &id.id, &sequence, &next, &fresh}, func() error {
			add(id, Outcome{Verdict: Parked, Detail: fmt.Sprintf("it is sequence %d of its stream, which waits for %d", sequence, next), fresh: fresh})
			return nil
		})
		return err
	})
	if err := conn.SendBatch(ctx, &batch).Close(); err != nil {
		return nil, fmt.Errorf("looking for what was decided: %w", err)
	}
	return found, nil
}
