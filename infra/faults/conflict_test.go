package faults

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/infra/stack/stacktest"
)

// TestDeadlock: an operator's transaction and a function's wait for each other's
// rows. PostgreSQL ends the function's, which runs again as a whole.
func TestDeadlock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stores{}, "ledger")
	w.startRelay(t)
	ledger := w.functions["ledger"]
	ledger.process.kill(t)
	w.start(t, "ledger", "SHARDS=1") // so that a request is one transaction
	w.post(t, posted("1", "a"), posted("2", "b"))
	tx, err := w.deps.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	lock := func(sql string) {
		if _, err := tx.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	// This side notices deadlocks late, and so is not the one that is ended.
	lock(`SET LOCAL deadlock_timeout = '1min'`)
	lock(`SELECT FROM millrace.entities WHERE subject = 'b' FOR UPDATE`)
	status := make(chan int, 1)
	go func() { status <- w.post(t, posted("3", "b"), posted("4", "a")) }()
	w.waits(t, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
	lock(`SELECT FROM millrace.entities WHERE subject = 'a' FOR UPDATE`)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := <-status; s != http.StatusAccepted {
		t.Errorf("the request got %d", s)
	}
	w.holds(t)
	if !strings.Contains(ledger.process.said.String(), "40P01") {
		t.Error("there was no deadlock")
	}
}

// waits waits until a query counts something.
func (w *world) waits(t *testing.T, sql string) {
	t.Helper()
	stacktest.Eventually(t, time.Minute, sql, func(ctx context.Context) bool {
		var n int
		err := w.deps.Pool.QueryRow(ctx, sql).Scan(&n)
		return err == nil && n > 0
	})
}

// TestSerializationFailure has the server of a function default to a stricter
// isolation, and another process change the same rows all the time: PostgreSQL
// ends transactions with 40001, and they run again.
func TestSerializationFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stores{}, "ledger")
	w.startRelay(t)
	w.send(t, some(20, "before", posted)...)
	w.decided(t, "ledger", 20)
	var name string
	if err := w.deps.Pool.QueryRow(t.Context(), `SELECT current_database()`).Scan(&name); err != nil {
		t.Fatal(err)
	}
	database := pgx.Identifier{name}.Sanitize()
	if _, err := w.deps.Pool.Exec(t.Context(), `ALTER DATABASE `+database+` SET default_transaction_isolation = 'serializable'`); err != nil {
		t.Fatal(err)
	}
	w.postgres.Cut() // so that it holds for the next connections
	tx, err := w.deps.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	// A change that changes nothing, but for PostgreSQL's idea of who came first.
	if _, err := tx.Exec(t.Context(), `UPDATE millrace.entities SET version = version`); err != nil {
		t.Fatal(err)
	}
	w.send(t, some(20, "after", posted)...)
	w.waits(t, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.holds(t)
	if !strings.Contains(w.functions["ledger"].process.said.String(), "40001") {
		t.Error("no transaction failed to be serialized")
	}
}
