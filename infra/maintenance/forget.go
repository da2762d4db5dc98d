package maintenance

import (
	"context"
	"fmt"
	"time"
)

// old finds which pages of seen have old rows, by the index that knows ranges of
// pages.
const old = `
SELECT coalesce((min(ctid)::text::point)[0]::bigint, 0), coalesce((max(ctid)::text::point)[0]::bigint, -1) + 1
FROM millrace.seen
WHERE decided_at < $1`

// An identity is needed beyond its time while something waits that may be held
// against it: a parked event when its turn comes, a dead letter when somebody
// redrives it.
const (
	outlived = `
WHERE s.ctid >= $1::text::tid AND s.ctid < $2::text::tid AND s.decided_at < $3
  AND NOT EXISTS (SELECT FROM millrace.parked AS p
                  WHERE p.tenant_id = s.tenant_id AND p.source = s.source AND p.id = s.id)
  AND NOT EXISTS (SELECT FROM millrace.dead_letters AS d
                  WHERE d.tenant_id = s.tenant_id AND d.source = s.source AND d.event_id = s.id
                    AND d.state IN ('open', 'redriving'))`

	deleteSeen = `DELETE FROM millrace.seen AS s` + outlived

	// Locks of a moment, for the number of rows that they find.
	countSeen = `SELECT FROM millrace.seen AS s` + outlived
)

// forget deletes identities that are older than the horizon, a few pages a
// transaction.
func (k *keeper) forget(ctx context.Context) error {
	before := k.SeenAfter.Before(k.past)
	done := Done{Table: "seen", Did: Deleted, Note: "identities decided before " + before.UTC().Format(time.DateOnly)}
	statement := deleteSeen
	if k.DryRun {
		statement = countSeen
	}
	var from, to int64
	err := k.conn.QueryRow(ctx, old, before).Scan(&from, &to)
	if err == nil {
		err = k.walk(ctx, from, to, statement, func(n int64) { done.Rows += n }, before)
	}
	if done.Rows > 0 {
		k.Tell(done)
	}
	if err != nil {
		return fmt.Errorf("forgetting identities: %w", err)
	}
	return nil
}
