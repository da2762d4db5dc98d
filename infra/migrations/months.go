package migrations

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	monthlyTables = `SELECT name FROM millrace.monthly_tables ORDER BY name`
	makeMonth     = `SELECT millrace.make_month_of($1, $2)`
	// A partition takes a lock on its table. Whoever waits for that lock holds up
	// all that come after, so it waits for a moment only, and tries again.
	patience = `SET LOCAL lock_timeout = '500ms'`
)

// MakeMonths makes the partitions of n months from the one of first on, and
// returns how many were missing. It is safe to run twice, at once and at any
// time: each partition is a transaction of its own, which is tried again while
// the functions are in its way. It should run well before a month begins: what
// comes for one that was not made goes to the default partition, where nothing
// is lost but the month can then not be made any more.
func MakeMonths(ctx context.Context, databaseURL string, first time.Time, n int) (made int, err error) {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return 0, fmt.Errorf("making months: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	rows, err := conn.Query(ctx, monthlyTables)
	if err != nil {
		return 0, fmt.Errorf("making months: %w", err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return 0, fmt.Errorf("making months: %w", err)
	}
	first = first.UTC()
	for i := range n {
		month := time.Date(first.Year(), first.Month()+time.Month(i), 1, 0, 0, 0, 0, time.UTC)
		for _, table := range tables {
			isNew, err := backoff.Retry(ctx, func() (bool, error) { return makeOne(ctx, conn, table, month) },
				backoff.WithMaxElapsedTime(time.Minute))
			if err != nil {
				return made, fmt.Errorf("making month %s of %s: %w", month.Format("2006-01"), table, err)
			}
			if isNew {
				made++
			}
		}
	}
	return made, nil
}

func makeOne(ctx context.Context, conn *pgx.Conn, table string, month time.Time) (made bool, err error) {
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, patience); err != nil {
			return err
		}
		return tx.QueryRow(ctx, makeMonth, table, month).Scan(&made)
	})
	refused, ok := errors.AsType[*pgconn.PgError](err)
	if busy := ok && (refused.Code == "55P03" || refused.Code == "40P01"); err != nil && !busy { // lock timeout, deadlock
		return false, backoff.Permanent(err)
	}
	return made, err
}
