package deadletters

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millrace/millrace/infra/operations"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/fault"
	"github.com/millrace/millrace/shared/postgres"
)

// pageLetters is how many dead letters one transaction takes, and pageBytes how
// many bytes of their events, but for those of one transaction.
const (
	pageLetters = 200
	pageBytes   = 8 << 20
)

// page is where an operation over many dead letters has come to.
type page struct{ at time.Time }

// The oldest first, as events of one stream were sent; those of one transaction,
// whose order only their events know, are of one page. A dead letter that is being
// settled just now is waited for, and then asked once more whether it is selected:
// what it is compared with here is the row as it was before.
const nextPage = `
SELECT ` + columns + `, event, %[1]s
FROM millrace.dead_letters
WHERE id IN (
    SELECT id
    FROM (
        SELECT id, coalesce(sum(length(event)) OVER (ORDER BY created_at RANGE UNBOUNDED PRECEDING EXCLUDE GROUP), 0) AS before
        FROM (
            SELECT id, created_at, event
            FROM millrace.dead_letters
            WHERE created_at > $1 AND %[1]s
            ORDER BY created_at
            FETCH FIRST $2 ROWS WITH TIES
        ) AS next
    ) AS sized
    WHERE before < $3
)
ORDER BY id`

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
func (p *page) change(ctx context.Context, pool *pgxpool.Pool, s Selection, by operations.Operator, what, state string, unfit func(*Whole) error) (all []Whole, why []error, err error) {
	err = again(ctx, func() error {
		return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) (err error) {
			var still map[uuid.UUID]bool
			if all, still, err = p.lock(ctx, tx, s); err != nil {
				return err
			}
			var ids []uuid.UUID
			why = make([]error, len(all))
			for n := range all {
				w := &all[n]
				if still[w.ID] {
					why[n] = unfit(w)
				} else { // while it was waited for
					why[n] = fmt.Errorf("it is %s by now (%s, %s)", w.State, w.Kind, w.Reason)
				}
				if why[n] == nil {
					ids = append(ids, w.ID)
				}
			}
			return write(ctx, tx, by, what, state, ids)
		})
	})
	if len(all) > 0 {
		p.at = all[len(all)-1].CreatedAt
	}
	return all, why, err
}

// lock locks the page, and says which of it are still selected.
func (p *page) lock(ctx context.Context, tx pgx.Tx, s Selection) (all []Whole, still map[uuid.UUID]bool, err error) {
	if _, err := tx.Exec(ctx, "SELECT "+postgres.LockSettings); err != nil {
		return nil, nil, err
	}
	return p.read(ctx, tx, nextPage+"\nFOR UPDATE", s)
}

type queryer interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func (p *page) read(ctx context.Context, from queryer, query string, s Selection) (all []Whole, still map[uuid.UUID]bool, err error) {
	condition, args := s.where(p.at, pageLetters, pageBytes)
	rows, err := from.Query(ctx, fmt.Sprintf(query, condition), args...)
	if err != nil {
		return nil, nil, err
	}
	still = map[uuid.UUID]bool{}
	var w Whole
	var is bool
	_, err = pgx.ForEachRow(rows, append(w.fields(), &w.Event, &is), func() error {
		all = append(all, w)
		still[w.ID] = is
		return nil
	})
	inOrder(all)
	return all, still, err
}

// inOrder sorts dead letters as their events happened.
func inOrder(all []Whole) {
	events := map[uuid.UUID]*event.Event{}
	for n := range all {
		events[all[n].ID] = cmp.Or(event.ParseStructured(all[n].Event).Event, &event.Event{})
	}
	slices.SortStableFunc(all, func(a, b Whole) int {
		x, y := events[a.ID], events[b.ID]
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), x.Time.Compare(y.Time), cmp.Compare(x.Sequence, y.Sequence))
	})
}

func write(ctx context.Context, tx pgx.Tx, by operations.Operator, what, state string, ids []uuid.UUID) error {
	if len(ids) == 0 {
		return nil
	}
	b := &pgx.Batch{}
	b.Queue(enter, by.Who, what, by.Why, ids)
	b.Queue(`UPDATE millrace.dead_letters SET state = $1 WHERE id = ANY ($2)`, state, ids)
	return tx.SendBatch(ctx, b).Close()
}

// again tries once more what lost a deadlock, or waited for long.
func again(ctx context.Context, do func() error) error {
	for attempt := 1; ; attempt++ {
		err := do()
		if code := postgres.Code(err); attempt == 5 || code != "40P01" && code != "40001" && code != "55P03" {
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
func Drop(ctx context.Context, pool *pgxpool.Pool, s Selection, by operations.Operator, each func([]Letter)) error {
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
