package streams

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/event"
)

// Letter is a dead letter that could close a gap: nobody decided its sequence.
type Letter struct {
	ID       uuid.UUID `json:"id"`
	Sequence int64     `json:"sequence"`
	Reason   string    `json:"reason"`
	State    string    `json:"state"`
}

const readLetters = `
SELECT id, reason, state, event
FROM millrace.dead_letters
WHERE tenant_id = $1 AND function = $2 AND subject = $3 AND source = $4
  AND kind = 'undecided' AND state IN ('open', 'redriving')
ORDER BY created_at DESC
LIMIT $5`

// shownLetters is how many dead letters of a stream are looked at to show some.
const shownLetters = 1000

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// letters returns the undecided dead letters of a stream past a position, by
// their sequence.
func letters(ctx context.Context, q querier, name Name, position int64) ([]Letter, error) {
	return lettersIn(ctx, q, name, Range{position + 1, event.MaxSequence}, shownLetters)
}

// lettersIn returns those in a range, after a look at the newest ones up to
// limit, or at all if it is nil.
func lettersIn(ctx context.Context, q querier, name Name, in Range, limit any) ([]Letter, error) {
	rows, err := q.Query(ctx, readLetters, append(name.args(), limit)...)
	if err != nil {
		return nil, fmt.Errorf("reading the dead letters of %s: %w", name, err)
	}
	var all []Letter
	var l Letter
	var raw []byte
	if _, err := pgx.ForEachRow(rows, []any{&l.ID, &l.Reason, &l.State, &raw}, func() error {
		if e := event.ParseStructured(raw).Event; e != nil && in.From <= e.Sequence && e.Sequence <= in.To {
			l.Sequence = e.Sequence
			all = append(all, l)
		}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("reading the dead letters of %s: %w", name, err)
	}
	slices.SortStableFunc(all, func(a, b Letter) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return all, nil
}
