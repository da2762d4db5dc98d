package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// sweepBytes bounds the rows in memory at a time, in bytes; one row may exceed
// it.
const sweepBytes = 16 << 20

const (
	readSweepTime = `SELECT now(), now() - $1::interval`

	// Nobody else takes these rows until the lease is over; the transaction
	// ends here, before anything is published. Rows of transactions in flight
	// are not there yet, and are seen by a later sweep: nothing remembers ids.
	// What this sweep took before, and could not finish, is left to the next one.
	takeRows = `
WITH ripe AS MATERIALIZED (
    SELECT id, coalesce(pg_column_size(dirty), 0) + coalesce(pg_column_size(emitted), 0)
             + coalesce(pg_column_size(drain), 0) AS bytes
    FROM millrace.outbox
    WHERE function = ANY ($1)
      AND created_at <= $2
      AND (claimed_until IS NULL OR claimed_until <= $8)
      AND ($6 AND dirty IS NOT NULL
           OR $7 AND (emitted IS NOT NULL OR dead_letters IS NOT NULL)
           OR drain IS NOT NULL
           OR num_nonnulls(dirty, emitted, dead_letters, drain) = 0)
    ORDER BY id
    LIMIT $3
    FOR UPDATE SKIP LOCKED
), taken AS (
    SELECT id, sum(bytes) OVER (ORDER BY id) - bytes AS before
    FROM ripe
)
UPDATE millrace.outbox AS o
SET claimed_until = now() + $4::interval
FROM taken
WHERE o.id = taken.id AND taken.before < $5
RETURNING o.id, o.function, o.created_at, o.dirty, o.emitted, o.dead_letters, o.drain`
)

// Sweep publishes the rows that are older than olderThan and that nobody else
// has taken, limit at a time, until none are left: what a process left behind
// that crashed, was scaled down, or could not reach Redis or Kafka. It returns
// how many rows it took.
//
// When ctx ends it takes no more rows, and goes on with those that it has for
// the grace period.
//
// A crash in the middle leaves rows taken until their lease is over; then they
// are anyone's again.
func (r *Relay) Sweep(ctx context.Context, olderThan time.Duration, limit int) (int, error) {
	var now span // by the database's clock; later rows are not waited for
	if err := r.cfg.Pool.QueryRow(ctx, readSweepTime, olderThan).Scan(&now.start, &now.before); err != nil {
		return 0, fmt.Errorf("sweeping the outbox: %w", err)
	}
	var errs []error
	total, reach := 0, everything
	for {
		claims, n, err := r.take(ctx, now, limit, reach)
		if err != nil {
			return total, errors.Join(append(errs, err)...)
		}
		if n == 0 {
			return total, errors.Join(errs...)
		}
		total += n
		r.stats.swept.Add(int64(n))
		publishing, stop := withGrace(ctx, r.cfg.Grace)
		failed := r.publish(publishing, newWorks(claims), reach)
		stop()
		// What is out of reach is not asked again in this sweep.
		reach.redis = reach.redis && !IsUnreachable(failed.redis)
		reach.kafka = reach.kafka && !IsUnreachable(failed.kafka)
		errs = append(errs, failed.err())
	}
}

// IsUnreachable reports whether err says that Redis or Kafka as a whole does
// not work. The relay logs such an outage itself, once.
func IsUnreachable(err error) bool {
	var unreachable *unreachableError
	return errors.As(err, &unreachable)
}

// span is when a sweep started, and up to when it takes rows.
type span struct{ start, before time.Time }

// take leases rows and reads them. One that cannot be read stays, for people to
// look at; n counts it.
func (r *Relay) take(ctx context.Context, now span, limit int, open reach) (claims []Claim, n int, err error) {
	names := make([]string, 0, len(r.functions))
	for name := range r.functions {
		names = append(names, name)
	}
	rows, err := r.cfg.Pool.Query(ctx, takeRows, names, now.before, limit, r.cfg.Lease, sweepBytes,
		open.redis, open.kafka, now.start)
	if err != nil {
		return nil, 0, fmt.Errorf("taking outbox rows: %w", err)
	}
	var taken row
	_, err = pgx.ForEachRow(rows, []any{&taken.ID, &taken.Function, &taken.CreatedAt, &taken.Dirty, &taken.Emitted, &taken.DeadLetters, &taken.Drain}, func() error {
		n++
		c, err := taken.claim()
		if err != nil {
			r.log.Error("an outbox row cannot be read", "error", err)
			return nil
		}
		claims = append(claims, c)
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("taking outbox rows: %w", err)
	}
	slices.SortFunc(claims, func(a, b Claim) int { return int(a.ID - b.ID) })
	return claims, n, nil
}
