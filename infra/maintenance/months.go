package maintenance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/postgres"
)

const (
	makeMonth = `SELECT millrace.make_month_of($1, $2)`

	hasMonth = `SELECT to_regclass(format('millrace.%I', $1 || to_char($2::date, '_YYYY_MM'))) IS NOT NULL`
)

// months makes the months ahead, after those that the default partition has
// rows of: it could not make these.
func (k *keeper) months(ctx context.Context, tables []table) error {
	errs := make([]error, len(tables))
	for n, t := range tables {
		moved, err := k.refill(ctx, t)
		if err != nil {
			errs[n] = fmt.Errorf("emptying the default partition of %s: %w", t.name, err)
			continue
		}
		if err := k.makeAhead(ctx, t, moved); err != nil {
			errs[n] = fmt.Errorf("making months of %s: %w", t.name, err)
		}
	}
	return errors.Join(errs...)
}

// makeAhead makes the months that are missing, but for those that were moved: in
// a dry run these are missing still.
func (k *keeper) makeAhead(ctx context.Context, t table, moved []time.Time) error {
	done := Done{Table: t.name, Did: Made}
	for ahead := -1; ahead <= k.Ahead; ahead++ {
		month := firstOf(k.Now, ahead)
		if slices.Contains(moved, month) {
			continue
		}
		made, err := k.makeMonth(ctx, t, month)
		if err != nil {
			return err
		}
		if made {
			done.Months = append(done.Months, month)
		}
	}
	if len(done.Months) > 0 {
		k.Tell(done)
	}
	return nil
}

func (k *keeper) makeMonth(ctx context.Context, t table, month time.Time) (made bool, err error) {
	var has bool
	if err := k.conn.QueryRow(ctx, hasMonth, t.name, month).Scan(&has); err != nil || has || k.DryRun {
		return !has && err == nil, err
	}
	err = k.giveWay(ctx, brief, func(tx pgx.Tx) error { return tx.QueryRow(ctx, makeMonth, t.name, month).Scan(&made) })
	if postgres.Code(err) == duplicateTable { // another run made it just now
		return false, nil
	}
	return made, err
}

// firstOf returns the first day of the month that is so many after a time.
func firstOf(of time.Time, ahead int) time.Time {
	of = of.UTC()
	return time.Date(of.Year(), of.Month()+time.Month(ahead), 1, 0, 0, 0, 0, time.UTC)
}
