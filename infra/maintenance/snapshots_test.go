package maintenance_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/infra/maintenance"
)

// A transaction that began to read before the rows were copied still finds each
// when it comes to them, as the relay's and verify's do.
func TestSnapshotIsOlderThanTheCopies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply(t, "trade.executed.v1", "T1", "account", april, executed)
	reader, err := w.pool.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Rollback(context.Background()) }()
	trades := func(of string) (n int) {
		t.Helper()
		if err := reader.QueryRow(t.Context(), `SELECT count(*) FROM millrace.`+of).Scan(&n); err != nil {
			t.Error(err)
		}
		return n
	}
	expect(t, "entities", trades("entities"), 1)
	_, err = w.try(t.Context(), maintenance.Config{Patience: 100 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "open since before the rows were copied") {
		t.Errorf("a run beside it: %v", err)
	}
	expect(t, "trades", trades("trades"), 1)
	if err := reader.Rollback(t.Context()); err != nil {
		t.Error(err)
	}
	has(t, w.maintain(t, maintenance.Config{}), "trades: moved 1 rows of 2024-04")
	w.same(t)
}
