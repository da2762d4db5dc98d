package deadletters

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millrace/millrace/shared/fault"
	"github.com/millrace/millrace/shared/postgres"
)

// Operator is who does something, and why.
type Operator struct{ Who, Why string }

// pageLetters is how many dead letters one transaction takes, and pageBytes how
// many bytes of their events, but for one that is larger.
const (
	pageLetters = 200
	pageBytes   = 8 << 20
)

// page is where an operation over many dead letters has come to.
type page struct {
	at time.Time
	id uuid.UUID
}

// The oldest first, as events of one stream were sent. A dead letter that is
// being settled just now is waited for.
const lockPage = `
SELECT ` + columns + `, event
FROM millrace.dead_letters
WHERE id IN (
    SELECT id
    FROM (
        SELECT id, coalesce(sum(length(event)) OVER (ORDER BY created_at, id) - length(event), 0) AS before
        FROM (
            SELECT id, created_at, event
            FROM millrace.dead_letters
            WHERE (created_at, id) > ($1, $2) AND %s
            ORDER BY created_at, id
            LIMIT $3
        ) AS next
    ) AS sized
    WHERE before < $4
)
ORDER BY id
FOR UPDATE`

const enter = `
INSERT INTO millrace.operations (who, what, why, function, tenant_id, subject, source, dead_letter, event_id)
SELECT $1, $2, $3, function, tenant_id, subject, source, id, event_id
FROM millrace.dead_letters
WHERE id = ANY ($4)`

// change sets a page of the selected dead letters to a state, but for those that
// unfit says something about, and enters what was done. It returns the page; an
// empty one is the end.
//
// A crash before the commit changes nothing; one after it is the caller's.
func (p *page) change(ctx context.Context, pool *pgxpool.Pool, s Selection, by Operator, what, state string, unfit func(*Whole) error) (all []Whole, why []error, err error) {
	err = again(ctx, func() error {
		all, why = nil, nil
		return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			condition, args := s.where(p.at, p.id, pageLetters, pageBytes)
			rows, err := tx.Query(ctx, fmt.Sprintf(lockPage, condition), args...)
			if err != nil {
				return err
			}
			var w Whole
			if _, err := pgx.ForEachRow(rows, append(w.fields(), &w.Event), func() error {
				all = append(all, w)
				if slices.Contains(s.States, w.State) {
					why = append(why, unfit(&w))
				} else { // while it was waited for
					why = append(why, fmt.Errorf("it is %s by now", w.State))
				}
				return nil
			}); err != nil {
				return err
			}
			var ids []uuid.UUID
			for n := range all {
				if why[n] == nil {
					ids = append(ids, all[n].ID)
				}
			}
			return write(ctx, tx, by, what, state, ids)
		})
	})
	for n := range all {
		if l := &all[n]; l.CreatedAt.After(p.at) || l.CreatedAt.Equal(p.at) && l.ID.String() > p.id.String() {
			p.at, p.id = l.CreatedAt, l.ID
		}
	}
	return all, why, err
}

func write(ctx context.Context, tx pgx.Tx, by Operator, what, state string, ids []uuid.UUID) error {
	if len(ids) == 0 {
		return nil
	}
	b := &pgx.Batch{}
	b.Queue(enter, by.Who, what, by.Why, ids)
	b.Queue(`UPDATE millrace.dead_letters SET state = $1 WHERE id = ANY ($2)`, state, ids)
	return tx.SendBatch(ctx, b).Close()
}

// again tries once more what lost a deadlock.
func again(ctx context.Context, do func() error) error {
	for attempt := 1; ; attempt++ {
		err := do()
		if code := postgres.Code(err); attempt == 5 || code != "40P01" && code != "40001" {
			return err
		}
		if !fault.Pause(ctx, time.Duration(attempt)*50*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// Drop gives up dead letters: nobody expects anything of them any more. They stay
// where they are, with their events. s.States says from which states; each is
// told of every page.
func Drop(ctx context.Context, pool *pgxpool.Pool, s Selection, by Operator, each func([]Letter)) error {
	if by.Why == "" {
		return errors.New("to drop dead letters needs a reason why")
	}
	p, err := begin(ctx, pool, &s)
	if err != nil {
		return err
	}
	for {
		all, why, err := p.change(ctx, pool, s, by, "drop", Dropped, func(*Whole) error { return nil })
		if err != nil {
			return fmt.Errorf("dropping dead letters: %w", err)
		}
		if len(all) == 0 {
			return nil
		}
		var dropped []Letter
		for n := range all {
			if why[n] == nil {
				dropped = append(dropped, all[n].Letter)
			}
		}
		each(dropped)
	}
}

// begin bounds an operation: what comes after it began is another one's. The
// clocks of functions may be ahead of the server's.
func begin(ctx context.Context, pool *pgxpool.Pool, s *Selection) (*page, error) {
	if !s.Until.IsZero() {
		return &page{}, nil
	}
	if err := pool.QueryRow(ctx, `SELECT now() + interval '1 minute'`).Scan(&s.Until); err != nil {
		return nil, fmt.Errorf("asking PostgreSQL for the time: %w", err)
	}
	return &page{}, nil
}
