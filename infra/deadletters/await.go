package deadletters

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millrace/millrace/shared/fault"
)

// Fate is what became of a redriven dead letter.
type Fate struct {
	Letter
	// Outcome is applied, refused or parked, that of an earlier delivery if it
	// was decided meanwhile; failed, if the dead letter is open again: then its
	// reason and cause are new; or waiting.
	Outcome string
	Version int64 // of the entity, where the event was decided
}

const readFates = `
SELECT ` + columns + `,
       CASE WHEN d.state = 'redriving' THEN 'waiting'
            WHEN d.state = 'open' THEN 'failed'
            ELSE coalesce(s.outcome, CASE WHEN p.parked THEN 'parked' END, d.state) END,
       coalesce(s.version, 0)
FROM millrace.dead_letters AS d
LEFT JOIN LATERAL (
    SELECT outcome, version FROM millrace.seen
    WHERE tenant_id = d.tenant_id AND source = d.source AND id = d.event_id AND digest = d.digest
) AS s ON true
LEFT JOIN LATERAL (
    SELECT true AS parked FROM millrace.parked
    WHERE tenant_id = d.tenant_id AND function = d.function AND subject = d.subject AND source = d.source AND parked.id = d.event_id
    LIMIT 1
) AS p ON true
WHERE d.id = ANY ($1)
ORDER BY created_at, id`

// lookEvery is how often the database is asked.
const lookEvery = 100 * time.Millisecond

// Await returns what became of dead letters once all are settled or ctx ends.
func Await(ctx context.Context, pool *pgxpool.Pool, ids []uuid.UUID) ([]Fate, error) {
	for {
		var open bool
		const waiting = `SELECT EXISTS (SELECT FROM millrace.dead_letters WHERE id = ANY ($1) AND state = 'redriving')`
		err := pool.QueryRow(ctx, waiting, ids).Scan(&open)
		if ctx.Err() != nil {
			return fates(context.WithoutCancel(ctx), pool, ids)
		}
		if err != nil {
			return nil, fmt.Errorf("looking for what was decided: %w", err)
		}
		if !open {
			return fates(ctx, pool, ids)
		}
		fault.Pause(ctx, lookEvery)
	}
}

func fates(ctx context.Context, pool *pgxpool.Pool, ids []uuid.UUID) ([]Fate, error) {
	rows, err := pool.Query(ctx, readFates, ids)
	if err != nil {
		return nil, fmt.Errorf("looking for what was decided: %w", err)
	}
	var all []Fate
	var f Fate
	if _, err := pgx.ForEachRow(rows, append(f.fields(), &f.Outcome, &f.Version), func() error {
		all = append(all, f)
		return nil
	}); err != nil {
		return nil, fmt.Errorf("looking for what was decided: %w", err)
	}
	return all, nil
}
