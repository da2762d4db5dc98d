package maintenance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/postgres"
)

// keeper is one run.
type keeper struct {
	Config

	conn *pgx.Conn
	// past is what all that is deleted is reckoned from: Now, but not later than
	// PostgreSQL says. A clock that is ahead must not forget what is young.
	past time.Time
}

// table is one that is split by month.
type table struct {
	name       string
	parts      int // of each month
	detachable bool
}

// Run does all that c says. What fails at one table does not keep it from the
// others.
func Run(ctx context.Context, databaseURL string, c Config) error {
	return run(ctx, databaseURL, c, func(k *keeper, tables []table) error {
		if err := k.checkRetention(tables); err != nil {
			return err
		}
		errs := []error{k.months(ctx, tables)}
		for _, t := range tables {
			errs = append(errs, k.retire(ctx, t))
		}
		return errors.Join(append(errs, k.forget(ctx), k.clearLetters(ctx))...)
	})
}

// Months only makes months and empties the default partitions.
func Months(ctx context.Context, databaseURL string, c Config) error {
	return run(ctx, databaseURL, c, func(k *keeper, tables []table) error { return k.months(ctx, tables) })
}

func run(ctx context.Context, databaseURL string, c Config, do func(*keeper, []table) error) (err error) {
	if c.Now.IsZero() {
		c.Now = time.Now()
	}
	if c.Tell == nil {
		c.Tell = func(Done) {}
	}
	if c.Pages == 0 {
		c.Pages = 64
	}
	if c.Patience == 0 {
		c.Patience = 2 * time.Minute
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("maintaining the database: %w", err)
		}
	}()
	conn, err := connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // all that was done is committed
	k := &keeper{Config: c, conn: conn}
	if err := conn.QueryRow(ctx, `SELECT least($1::timestamptz, now())`, k.Now).Scan(&k.past); err != nil {
		return err
	}
	tables, err := k.tables(ctx)
	if err != nil {
		return err
	}
	return do(k, tables)
}

func connect(ctx context.Context, databaseURL string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return nil, errors.New("DATABASE_URL: " + postgres.Redact(err.Error()))
	}
	config.RuntimeParams["application_name"] = "millrace maintain"
	// No statement outlives the tables that it names.
	config.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, errors.New("connecting to PostgreSQL: " + postgres.Redact(err.Error()))
	}
	return conn, nil
}

func (k *keeper) tables(ctx context.Context) ([]table, error) {
	rows, err := k.conn.Query(ctx, `SELECT name, parts, detachable FROM millrace.monthly_tables ORDER BY name`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (t table, err error) {
		return t, row.Scan(&t.name, &t.parts, &t.detachable)
	})
}

const (
	// brief is for how long a lock is waited for. Whoever waits for the lock of a
	// table holds up all that come after.
	brief = "500ms"
	// patient is more than PostgreSQL's deadlock_timeout, after which autovacuum
	// gives way.
	patient = "1500ms"
)

// inTheWay are lock timeout and deadlock.
var inTheWay = []string{"55P03", "40P01"}

// setLimits limits the waiting for a lock, and the keeping of it by a process
// that froze, or whose node is gone: PostgreSQL ends the transaction.
const setLimits = `SELECT set_config('idle_in_transaction_session_timeout', '10s', true), set_config('lock_timeout', $1, true)`

// giveWay runs a transaction that waits for locks no longer than wait, and runs
// it again while the functions are in its way.
func (k *keeper) giveWay(ctx context.Context, wait string, do func(pgx.Tx) error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := pgx.BeginTxFunc(ctx, k.conn, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, setLimits, wait); err != nil {
				return err
			}
			return do(tx)
		})
		if err != nil && !slices.Contains(inTheWay, postgres.Code(err)) {
			return struct{}{}, backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithMaxElapsedTime(k.Patience))
	return err
}

// execAll runs statements one after the other, in one round trip.
func execAll(ctx context.Context, tx pgx.Tx, statements ...string) error {
	_, err := tx.Exec(ctx, strings.Join(statements, ";\n"), pgx.QueryExecModeSimpleProtocol)
	return err
}
