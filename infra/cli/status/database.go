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
	parked, deadLetters map[string]int64 // by function
	topicOnly           map[string]int64 // by topic
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

// A letter whose event was decided or kept later, sent again or by hand, is
// settled. One without a name is never found.
const countUnknown = `
SELECT l.topic, count(*)
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS l (topic, tenant_id, source, id)
WHERE NOT EXISTS (SELECT FROM millrace.seen AS s
                  WHERE s.tenant_id = l.tenant_id AND s.source = l.source AND s.id = l.id)
  AND NOT EXISTS (SELECT FROM millrace.dead_letters AS d
                  WHERE d.tenant_id = l.tenant_id AND d.source = l.source AND d.event_id = l.id AND l.id <> '')
GROUP BY l.topic`

// unknown counts, by topic, the letters that the database does not have.
func (d *database) unknown(ctx context.Context, found []letter) (map[string]int64, error) {
	if len(found) == 0 {
		return nil, nil //nolint:nilnil // there are none
	}
	columns := make([][]string, 4)
	for _, l := range found {
		for i, text := range []string{l.topic, l.tenant, l.source, l.id} {
			columns[i] = append(columns[i], text)
		}
	}
	rows, err := d.conn.Query(ctx, countUnknown, columns[0], columns[1], columns[2], columns[3])
	if err != nil {
		return nil, fmt.Errorf("looking for dead letters: %w", err)
	}
	all := map[string]int64{}
	var topic string
	var n int64
	if _, err := pgx.ForEachRow(rows, []any{&topic, &n}, func() error {
		all[topic] = n
		return nil
	}); err != nil {
		return nil, fmt.Errorf("looking for dead letters: %w", err)
	}
	return all, nil
}
