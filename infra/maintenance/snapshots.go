package maintenance

import (
	"context"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	// Each open transaction has the lock of its own number. One that has no
	// snapshot now takes a later one, which shows the copies.
	snapshots = `
SELECT coalesce(array_agg(l.virtualxid), '{}')
FROM pg_stat_activity AS a
JOIN pg_locks AS l ON l.pid = a.pid AND l.locktype = 'virtualxid' AND l.mode = 'ExclusiveLock'
WHERE a.datname = current_database() AND a.backend_xmin IS NOT NULL AND a.pid <> pg_backend_pid()
  AND a.usesysid IS NOT NULL -- an autovacuum`

	stillOpen = `
SELECT coalesce(array_agg(DISTINCT pid ORDER BY pid), '{}')
FROM pg_locks
WHERE locktype = 'virtualxid' AND mode = 'ExclusiveLock' AND virtualxid = ANY ($1)`
)

// awaitSnapshots waits until no transaction is open that began to read before
// the rows were copied, as CREATE INDEX CONCURRENTLY does: after the swap it
// would see neither the copies nor the originals.
func (k *keeper) awaitSnapshots(ctx context.Context) error {
	var numbers []string
	if err := k.conn.QueryRow(ctx, snapshots).Scan(&numbers); err != nil {
		return err
	}
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		var pids []int32
		if err := k.conn.QueryRow(ctx, stillOpen, numbers).Scan(&pids); err != nil {
			return struct{}{}, backoff.Permanent(err)
		}
		if len(pids) > 0 {
			return struct{}{}, fmt.Errorf("transactions of the processes %v of PostgreSQL are open since before the rows were copied; the next run goes on", pids)
		}
		return struct{}{}, nil
	}, backoff.WithBackOff(backoff.NewConstantBackOff(50*time.Millisecond)), backoff.WithMaxElapsedTime(k.Patience))
	return err
}
