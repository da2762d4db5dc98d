package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/millrace/millrace/shared/fault"
	"github.com/millrace/millrace/shared/postgres"
)

// A row that is locked is being finished or swept: neither is waited for.
const keepRows = `
WITH held AS MATERIALIZED (
    SELECT id
    FROM millrace.outbox
    WHERE id = ANY ($1)
    FOR UPDATE SKIP LOCKED
)
UPDATE millrace.outbox AS o
SET claimed_until = greatest(o.claimed_until, now() + $2::interval)
FROM held
WHERE o.id = held.id`

// keeping keeps the claims that have been held for long until ctx ends. Under a
// load that fills the machine a claim may wait here for longer than sweepers
// leave a row alone. Without this they would publish it too, reading afresh what
// is known here, and so take from the machine what it lacks already.
//
// A crash leaves rows that sweepers take when the last lease is over.
func (r *Relay) keeping(ctx context.Context) {
	for fault.Pause(ctx, r.cfg.Keep) {
		if err := r.keep(ctx, time.Now().Add(-r.cfg.Keep)); err != nil {
			r.log.Warn("claims may be swept while they are held", "error", postgres.Redact(err.Error()))
		}
	}
}

// keep renews the lease of the held claims that were committed before a time.
func (r *Relay) keep(ctx context.Context, before time.Time) error {
	ids := r.queue.since(before)
	if len(ids) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	// Three renewals may be late before somebody else takes the rows.
	if _, err := r.cfg.Pool.Exec(ctx, keepRows, ids, 4*r.cfg.Keep); err != nil {
		return fmt.Errorf("keeping %d outbox rows: %w", len(ids), err)
	}
	return nil
}

// since returns the rows of held claims that were committed before a time.
func (o *offered) since(before time.Time) (ids []int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for p := range o.passages {
		if p.committed.Before(before) {
			ids = append(ids, p.ID)
		}
	}
	return ids
}
