package outbox

import (
	"context"
	"fmt"
)

const countEmitted = `
SELECT count(*) FROM (SELECT FROM millrace.outbox WHERE function = $1 AND emitted IS NOT NULL LIMIT $2) AS rows`

// Backlog counts the outbox rows of a function with events that are not in
// Kafka yet, up to limit.
func (r *Relay) Backlog(ctx context.Context, functionName string, limit int) (int, error) {
	var n int
	if err := r.cfg.Pool.QueryRow(ctx, countEmitted, functionName, limit).Scan(&n); err != nil {
		return 0, fmt.Errorf("counting the outbox of %s: %w", functionName, err)
	}
	return n, nil
}
