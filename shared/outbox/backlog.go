package outbox

import (
	"context"
	"fmt"
	"time"
)

const (
	countEmitted = `
SELECT count(*) FROM (SELECT FROM millrace.outbox WHERE function = $1 AND emitted IS NOT NULL LIMIT $2) AS rows`

	readDepth = `
SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8
FROM (SELECT created_at FROM millrace.outbox ORDER BY id LIMIT $1) AS rows`
)

// Backlog counts the outbox rows of a function with events that are not in
// Kafka yet, up to limit.
func (r *Relay) Backlog(ctx context.Context, functionName string, limit int) (int, error) {
	var n int
	if err := r.cfg.Pool.QueryRow(ctx, countEmitted, functionName, limit).Scan(&n); err != nil {
		return 0, fmt.Errorf("counting the outbox of %s: %w", functionName, err)
	}
	return n, nil
}

// depthLimit is how many rows are counted.
const depthLimit = 100_000

// Depth is how much lies in the outbox.
type Depth struct {
	Rows   int // at most 100,000 are counted
	Oldest time.Duration
}

// Depth looks how much lies in the outbox, of all functions.
func (r *Relay) Depth(ctx context.Context) (Depth, error) {
	var d Depth
	var seconds float64
	if err := r.cfg.Pool.QueryRow(ctx, readDepth, depthLimit).Scan(&d.Rows, &seconds); err != nil {
		return d, fmt.Errorf("counting the outbox: %w", err)
	}
	d.Oldest = time.Duration(max(0, seconds) * float64(time.Second))
	return d, nil
}
