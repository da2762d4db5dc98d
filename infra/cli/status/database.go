package status

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// counts are the rows that should be few.
type counts struct {
	parked, deadLetters map[string]int64
	outbox              Outbox
}

// database counts what waits.
type database struct {
	url  string
	conn *pgx.Conn
}

func (d *database) connect(ctx context.Context) error {
	if d.conn != nil && !d.conn.IsClosed() {
		return nil
	}
	if d.url == "" {
		return errors.New("PostgreSQL is not known: set DATABASE_URL")
	}
	conn, err := pgx.Connect(ctx, d.url)
	if err != nil {
		return fmt.Errorf("PostgreSQL does not answer: %w", err)
	}
	d.conn = conn
	return nil
}

func (d *database) close() error {
	if d.conn == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return d.conn.Close(ctx)
}

const (
	countParked = `SELECT function, count(*) FROM millrace.parked GROUP BY function`

	countDeadLetters = `SELECT function, count(*) FROM millrace.dead_letters WHERE state = 'open' GROUP BY function`

	countOutbox = `
SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8
FROM millrace.outbox`
)

func (d *database) counts(ctx context.Context) (counts, error) {
	c := counts{parked: map[string]int64{}, deadLetters: map[string]int64{}}
	if err := d.connect(ctx); err != nil {
		return c, err
	}
	var batch pgx.Batch
	byFunction := func(into map[string]int64) func(pgx.Rows) error {
		return func(rows pgx.Rows) error {
			var function string
			var n int64
			_, err := pgx.ForEachRow(rows, []any{&function, &n}, func() error {
				into[function] = n
				return nil
			})
			return err
		}
	}
	batch.Queue(countParked).Query(byFunction(c.parked))
	batch.Queue(countDeadLetters).Query(byFunction(c.deadLetters))
	batch.Queue(countOutbox).QueryRow(func(row pgx.Row) error {
		var seconds float64
		err := row.Scan(&c.outbox.Rows, &seconds)
		// Clocks of several writers may be ahead of the server's.
		c.outbox.Oldest = max(0, time.Duration(seconds*float64(time.Second)))
		return err
	})
	if err := d.conn.SendBatch(ctx, &batch).Close(); err != nil {
		return c, fmt.Errorf("counting in PostgreSQL: %w", err)
	}
	return c, nil
}
