package streams

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Parked is an event that waits.
type Parked struct {
	Sequence int64     `json:"sequence"`
	ID       string    `json:"id"`
	Type     string    `json:"type"`
	At       time.Time `json:"parkedAt"`
}

// Operation is what an operator did to a stream.
type Operation struct {
	At   time.Time `json:"at"`
	Who  string    `json:"who"`
	What string    `json:"what"`
	Over Range     `json:"over"`
	Why  string    `json:"why"`
}

// Whole is a stream with what is known of its gaps.
type Whole struct {
	Stream

	// Gaps are all that is missing before what is parked.
	Gaps    []Range     `json:"gaps"`
	Waiting []Parked    `json:"waiting"` // in order
	Letters []Letter    `json:"deadLetters"`
	History []Operation `json:"history"` // the last ones first
}

// Some is how many gaps, parked events and operations of a stream are shown at
// most.
const Some = 20

const (
	readGaps = `
SELECT before + 1, sequence - 1
FROM (
    SELECT sequence, lag(sequence, 1, $5::bigint) OVER (ORDER BY sequence) AS before
    FROM millrace.parked
    WHERE tenant_id = $1 AND function = $2 AND subject = $3 AND source = $4
) AS waiting
WHERE sequence > before + 1
ORDER BY sequence
LIMIT $6`

	readParked = `
SELECT sequence, id, coalesce(event->>'type', ''), parked_at
FROM millrace.parked
WHERE tenant_id = $1 AND function = $2 AND subject = $3 AND source = $4
ORDER BY sequence
LIMIT $5`

	readHistory = `
SELECT done_at, who, what, from_sequence, to_sequence, why
FROM millrace.operations
WHERE tenant_id = $1 AND function = $2 AND subject = $3 AND source = $4 AND what IN ('skip', 'adopt')
ORDER BY id DESC
LIMIT $5`
)

// ErrNone says that there is no such stream.
var ErrNone = errors.New("there is no such stream: nothing of it was decided, is parked or is a dead letter")

// Get returns a stream, or [ErrNone].
func Get(ctx context.Context, pool *pgxpool.Pool, name Name) (*Whole, error) {
	found, _, err := List(ctx, pool, Selection{Tenant: name.TenantID, Function: name.Function, Subject: name.Subject, Source: name.Source}, 1)
	if err != nil {
		return nil, err
	}
	w := &Whole{Stream: Stream{Name: name}}
	if len(found) > 0 {
		w.Stream = found[0]
	}
	b := &pgx.Batch{}
	b.Queue(readGaps, append(name.args(), w.Position, Some)...).Query(collect(&w.Gaps))
	b.Queue(readParked, append(name.args(), Some)...).Query(collect(&w.Waiting))
	b.Queue(readHistory, append(name.args(), Some)...).Query(func(rows pgx.Rows) error {
		var o Operation
		_, err := pgx.ForEachRow(rows, []any{&o.At, &o.Who, &o.What, &o.Over.From, &o.Over.To, &o.Why}, func() error {
			w.History = append(w.History, o)
			return nil
		})
		return err
	})
	if err := pool.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if w.Letters, err = letters(ctx, pool, name, w.Position); err != nil {
		return nil, err
	}
	if len(found)+len(w.Waiting)+len(w.Letters)+len(w.History) == 0 {
		return nil, ErrNone
	}
	return w, nil
}

func collect[T any](into *[]T) func(pgx.Rows) error {
	return func(rows pgx.Rows) (err error) {
		*into, err = pgx.CollectRows(rows, pgx.RowToStructByPos[T])
		return err
	}
}
