package deadletters_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/millrace/millrace/infra/deadletters"
	"github.com/millrace/millrace/infra/operations"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/event"
)

// unknown makes dead letters, of one transaction, of events that nobody knew yet.
func (w *world) unknown(t *testing.T, raw ...string) {
	t.Helper()
	var events []event.Received
	for _, one := range raw {
		r := event.ParseStructured([]byte(one))
		r.Err = event.Invalidf("unknown-type", "not yet")
		events = append(events, r)
	}
	if _, err := w.processor.Process(t.Context(), events); err != nil {
		t.Fatal(err)
	}
}

// Trades and, a second later each, their cancellations: more than a page, and all
// in one transaction.
func TestRedriveInTheOrderOfEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const n = 105
	var all []string
	for i := range n {
		id := fmt.Sprint("T", i)
		all = append(all, executed(id), strings.Replace(cancelled(id), "26:53Z", "26:54Z", 1))
	}
	w.unknown(t, all...)
	if sent, err := w.redrive(t); sent != 2*n || err != nil {
		t.Errorf("%d sent, error %v", sent, err)
	}
	w.deliver(t)
	expect(t, w.text(t, states), fmt.Sprintf("redriven %d", 2*n))
	expect(t, w.text(t, `SELECT string_agg(DISTINCT outcome, ' ') FROM millrace.seen`), "applied")
}

// A dry run neither waits for who has a dead letter locked, nor locks it.
func TestPreviewWaitsForNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.unknown(t, executed("T"))
	tx, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := tx.Exec(t.Context(), `SELECT FROM millrace.dead_letters FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	n := 0
	err = deadletters.Preview(t.Context(), w.pool, deadletters.Selection{}, func(_ context.Context, page []deadletters.Sent) error {
		n += len(page)
		return nil
	})
	if n != 1 || err != nil {
		t.Errorf("%d dead letters, error %v", n, err)
	}
}

// A function settles a dead letter, as open and refused, while a redrive and a drop
// wait for it: it is not what they select any more. Those after it are.
func TestSettledWhileWaitedFor(t *testing.T) {
	t.Parallel()
	for want, operate := range map[string]func(w *world, s deadletters.Selection) error{
		"open 200, redriving 1": func(w *world, s deadletters.Selection) error {
			return deadletters.Redrive(t.Context(), w.pool, w, s, operations.Operator{Who: "ann"},
				func(context.Context, []deadletters.Sent) error { return nil })
		},
		"dropped 1, open 200": func(w *world, s deadletters.Selection) error {
			return deadletters.Drop(t.Context(), w.pool, s, operations.Operator{Who: "ann", Why: "old"}, func([]deadletters.Letter) {})
		},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var first []string
			for i := range 200 { // a page
				first = append(first, executed(fmt.Sprint("T", i)))
			}
			w.unknown(t, first...)
			w.unknown(t, executed("LATER"))
			tx, err := w.pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
			const settle = `UPDATE millrace.dead_letters SET kind = 'refused', reason = 'no-such-trade' WHERE event_id <> 'LATER'`
			if _, err := tx.Exec(t.Context(), settle); err != nil {
				t.Fatal(err)
			}
			var group errgroup.Group
			group.Go(func() error {
				return operate(w, deadletters.Selection{Kinds: []string{"undecided"}, Reasons: []string{"unknown-type"}, States: []string{deadletters.Open}})
			})
			w.awaitWaiting(t)
			if err := tx.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := group.Wait(); err != nil {
				t.Fatal(err)
			}
			expect(t, w.text(t, states), want)
		})
	}
}

// awaitWaiting returns when somebody waits for a row of another transaction.
func (w *world) awaitWaiting(t *testing.T) {
	t.Helper()
	const waiting = `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')::text`
	stacktest.Eventually(t, time.Minute, "somebody to wait", func(context.Context) bool { return w.text(t, waiting) == "true" })
}

// settings notes how long a transaction that writes may be idle and wait.
type settings struct{ seen string }

func (*settings) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

func (*settings) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (*settings) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

func (*settings) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

func (s *settings) TraceBatchStart(ctx context.Context, conn *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	results, _ := conn.PgConn().Exec(ctx, "SHOW idle_in_transaction_session_timeout; SHOW lock_timeout").ReadAll()
	for _, r := range results {
		s.seen += string(r.Rows[0][0]) + " "
	}
	return ctx
}

// A process that freezes in a transaction holds up others for a bounded time.
func TestLocksAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.unknown(t, executed("T"))
	c, s := w.pool.Config(), &settings{}
	c.ConnConfig.Tracer = s
	var err error
	if w.pool, err = pgxpool.NewWithConfig(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.pool.Close)
	if sent, err := w.redrive(t); sent != 1 || err != nil {
		t.Errorf("%d sent, error %v", sent, err)
	}
	expect(t, s.seen, "10s 5s ")
}
