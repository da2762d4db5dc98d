package migrations

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// MakeMonths makes the partitions of n months from the one of first on, and
// returns how many tables got one. It is safe to run twice, at once and at any
// time; each month is a transaction of its own. It should run well before a
// month begins: what comes for one that was not made goes to the default
// partition, where nothing is lost but the month can then not be made any more.
func MakeMonths(ctx context.Context, databaseURL string, first time.Time, n int) (made int, err error) {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return 0, fmt.Errorf("making months: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	first = first.UTC()
	for i := range n {
		month := time.Date(first.Year(), first.Month()+time.Month(i), 1, 0, 0, 0, 0, time.UTC)
		var tables int
		if err := conn.QueryRow(ctx, "SELECT millrace.make_month($1)", month).Scan(&tables); err != nil {
			return made, fmt.Errorf("making month %s: %w", month.Format("2006-01"), err)
		}
		made += tables
	}
	return made, nil
}
