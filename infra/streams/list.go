package streams

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Name names a stream: the events of a source about an entity.
type Name struct {
	TenantID string `json:"tenant"`
	Function string `json:"function"`
	Subject  string `json:"subject"`
	Source   string `json:"source"`
}

func (n Name) String() string {
	return fmt.Sprintf("the stream of %s about %s/%s/%s", n.Source, n.TenantID, n.Function, n.Subject)
}

func (n Name) args() []any { return []any{n.TenantID, n.Function, n.Subject, n.Source} }

// Range is sequences from the first to the last.
type Range struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

func (r Range) String() string {
	if r.From == r.To {
		return strconv.FormatInt(r.From, 10)
	}
	return fmt.Sprintf("%d-%d", r.From, r.To)
}

// Stream is how far a stream is decided, and what it waits for.
type Stream struct {
	Name

	// Position is the last decided sequence.
	Position int64 `json:"position"`
	Parked   int   `json:"parked"`
	// Missing is what must come first; nil if nothing is parked, or what is
	// parked is ready.
	Missing *Range `json:"missing,omitempty"`
	// Since is when the event was parked that waits the longest.
	Since *time.Time `json:"since,omitempty"`
}

// Selection says which streams: those that fit all that is set.
type Selection struct {
	Tenant, Function, Subject, Source string
	// Stuck leaves streams out that wait for nothing, or not as long as For.
	Stuck bool
	For   time.Duration
}

// What is parked is limited for each tenant; streams are as many as entities.
const (
	fits = ` ($1 = '' OR tenant_id = $1) AND ($2 = '' OR function = $2) AND ($3 = '' OR subject = $3) AND ($4 = '' OR source = $4) `

	listStuck = `
SELECT tenant_id, function, subject, source, coalesce(s.position, 0), p.parked, p.first, p.since
FROM (
    SELECT tenant_id, function, subject, source, count(*) AS parked, min(sequence) AS first, min(parked_at) AS since
    FROM millrace.parked
    WHERE ` + fits + `
    GROUP BY tenant_id, function, subject, source
) AS p
LEFT JOIN millrace.streams AS s USING (tenant_id, function, subject, source)
WHERE p.first > coalesce(s.position, 0) + 1 AND p.since <= now() - make_interval(secs => $6)
ORDER BY p.since, tenant_id, function, subject, source
LIMIT $5`

	listAll = `
SELECT tenant_id, function, subject, source, s.position, s.parked, p.first, p.since
FROM (
    SELECT tenant_id, function, subject, source, position, parked
    FROM millrace.streams
    WHERE ` + fits + `
    ORDER BY tenant_id, function, subject, source
    LIMIT $5
) AS s
LEFT JOIN LATERAL (
    SELECT min(sequence) AS first, min(parked_at) AS since
    FROM millrace.parked AS p
    WHERE s.parked > 0 AND p.tenant_id = s.tenant_id AND p.function = s.function AND p.subject = s.subject AND p.source = s.source
) AS p ON true
ORDER BY tenant_id, function, subject, source`
)

// List returns at most limit streams, and whether there are more: the stuck ones
// by the time since when they are, others by their names.
func List(ctx context.Context, pool *pgxpool.Pool, s Selection, limit int) (all []Stream, more bool, err error) {
	query, args := listAll, []any{s.Tenant, s.Function, s.Subject, s.Source, limit + 1}
	if s.Stuck {
		query, args = listStuck, append(args, s.For.Seconds())
	}
	rows, err := pool.Query(ctx, query, args...)
	if err != nil {
		return nil, false, fmt.Errorf("reading streams: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var one Stream
		var first *int64
		if err := rows.Scan(&one.TenantID, &one.Function, &one.Subject, &one.Source, &one.Position, &one.Parked, &first, &one.Since); err != nil {
			return nil, false, fmt.Errorf("reading streams: %w", err)
		}
		if first != nil && *first > one.Position+1 {
			one.Missing = &Range{one.Position + 1, *first - 1}
		}
		all = append(all, one)
	}
	if err := rows.Err(); err != nil {
		return nil, false, fmt.Errorf("reading streams: %w", err)
	}
	if len(all) > limit {
		return all[:limit], true, nil
	}
	return all, false, nil
}
