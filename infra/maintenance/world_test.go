package maintenance_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millrace/millrace/functions/ledger"
	"github.com/millrace/millrace/functions/message"
	"github.com/millrace/millrace/functions/trade"
	"github.com/millrace/millrace/infra/invariants"
	"github.com/millrace/millrace/infra/maintenance"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/outbox"
	"github.com/millrace/millrace/shared/runtime"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

// april is when it is for the maintenance of these tests. Their databases have
// no months: all goes to the default partitions.
var april = time.Date(2024, 4, 15, 12, 0, 0, 0, time.UTC)

// world is a database with the real functions of trades, messages and journals.
type world struct {
	url       string
	pool      *pgxpool.Pool
	functions []function.Definition
	deciders  map[string]*runtime.Processor
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{url: stacktest.Postgres(t), deciders: map[string]*runtime.Processor{}}
	w.functions = []function.Definition{trade.New(), message.New(), ledger.New()}
	var err error
	if w.pool, err = pgxpool.New(t.Context(), w.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.pool.Close)
	limits, err := env.ParseAs[runtime.Limits]()
	if err != nil {
		t.Fatal(err)
	}
	for _, fn := range w.functions {
		w.deciders[fn.FunctionName()] = runtime.NewProcessor(fn, w.pool, limits, slog.New(slog.DiscardHandler), func(outbox.Claim) {})
	}
	return w
}

// decide decides an event of a type, at a time, and returns what became of it.
func (w *world) decide(ctx context.Context, kind, id, subject string, at time.Time, data string) (runtime.OutcomeKind, error) {
	text := fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/desk","type":%q,"subject":%q,"tenantid":"acme","time":%q,"data":%s}`,
		id, kind, subject, at.Format(time.RFC3339), data)
	family, _, _ := strings.Cut(kind, ".")
	outcomes, err := w.deciders[family].Process(ctx, []event.Received{event.ParseStructured([]byte(text))})
	if err != nil {
		return "", err
	}
	return outcomes[0].Kind, nil
}

const (
	executed = `{"instrument":"VOD.L","side":"buy","quantity":"10","price":"4","currency":"GBP"}`
	posted   = `{"description":"d","postings":[{"account":"a","currency":"GBP","amount":"5"},{"account":"b","currency":"GBP","amount":"-5"}]}`
	said     = `{"author":"x","text":"hello"}`
)

// apply decides an event, which has to be applied.
func (w *world) apply(t *testing.T, kind, id, subject string, at time.Time, data string) {
	t.Helper()
	if outcome, err := w.decide(t.Context(), kind, id, subject, at, data); err != nil || outcome != runtime.Applied {
		t.Errorf("%s %s: %s, %v", kind, id, outcome, err)
	}
}

// work executes trades of March, April and May, and amends them, until stop is
// called. It returns how many were executed.
func (w *world) work(t *testing.T) (stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var working sync.WaitGroup
	trades := make([]int, 2)
	for n := range trades {
		working.Go(func() {
			account := fmt.Sprint("account-", n)
			for ; ctx.Err() == nil; trades[n]++ {
				id := fmt.Sprintf("T%d-%d", n, trades[n])
				w.apply(t, "trade.executed.v1", id, account, april.AddDate(0, trades[n]%3-1, 0), executed)
				w.apply(t, "trade.amended.v1", "A"+id, account, april, fmt.Sprintf(`{"trade":%q,"quantity":"11","price":"4"}`, id))
			}
		})
	}
	stop = sync.OnceValue(func() int { cancel(); working.Wait(); return trades[0] + trades[1] })
	t.Cleanup(func() { stop() })
	return stop
}

// maintain runs the maintenance in April, and returns what was done.
func (w *world) maintain(t *testing.T, c maintenance.Config) []string {
	t.Helper()
	done, err := w.try(t.Context(), c)
	if err != nil {
		t.Error(err)
	}
	return done
}

func (w *world) try(ctx context.Context, c maintenance.Config) (done []string, err error) {
	if c.Now.IsZero() {
		c.Now = april
	}
	c.Ahead, c.SeenAfter = 1, max(c.SeenAfter, 36500)
	c.Tell = func(d maintenance.Done) { done = append(done, d.Table+": "+d.String()) }
	err = maintenance.Run(ctx, w.url, c)
	return done, err
}

// same fails if the tables are not what the audit log gives.
func (w *world) same(t *testing.T) {
	t.Helper()
	report, err := invariants.Verify(t.Context(), invariants.Deps{Pool: w.pool, Functions: w.functions})
	if err != nil || !report.Holds() {
		t.Errorf("%v, error %v", report.Broken, err)
	}
}

// text returns the one value of a query.
func (w *world) text(t *testing.T, query string, args ...any) (value string) {
	t.Helper()
	if err := w.pool.QueryRow(t.Context(), query, args...).Scan(&value); err != nil {
		t.Errorf("%s: %v", query, err)
	}
	return value
}

func (w *world) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	if _, err := w.pool.Exec(t.Context(), statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// partitions names those of a table.
func (w *world) partitions(t *testing.T, table string) string {
	t.Helper()
	return w.text(t, `SELECT coalesce(string_agg(substr(c.relname, length($1) + 2), ' ' ORDER BY c.relname), '')
FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = ('millrace.' || $1)::regclass`, table)
}

func expect[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s\ngot  %v\nwant %v", what, got, want)
	}
}

// script runs several statements.
func (w *world) script(t *testing.T, statements string) {
	t.Helper()
	if _, err := w.pool.Exec(t.Context(), statements, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
}

// hold opens a transaction that runs a statement, and holds its locks until the
// test is over or release is called.
func (w *world) hold(t *testing.T, statement string) (release func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), w.url)
	if err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(func() { _ = conn.Close(context.Background()) })
	t.Cleanup(release)
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
	return release
}

// await waits until a query answers yes.
func (w *world) await(t *testing.T, query string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		var yes bool
		if err := w.pool.QueryRow(ctx, query).Scan(&yes); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		if yes {
			return
		}
		<-tick.C
	}
}

// has fails unless a line is among those.
func has(t *testing.T, lines []string, want string) {
	t.Helper()
	if !slices.Contains(lines, want) {
		t.Errorf("no line %q in\n%s", want, strings.Join(lines, "\n"))
	}
}
