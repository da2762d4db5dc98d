package maintenance

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/postgres"
)

// A run that freezes with a table locked is ended, and the functions go on.
func TestFrozenWithTheLock(t *testing.T) {
	t.Parallel()
	url := stacktest.Postgres(t)
	conn, err := connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	other, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close(context.Background()) }()
	k := &keeper{conn: conn}
	const ended = "25P03" // idle_in_transaction_session_timeout
	err = k.giveWay(t.Context(), brief, func(tx pgx.Tx) error {
		var limit string
		if err := tx.QueryRow(t.Context(), `SHOW idle_in_transaction_session_timeout`).Scan(&limit); err != nil || limit != "10s" {
			t.Errorf("PostgreSQL ends a transaction that idles for %s, %v", limit, err)
		}
		// Ten seconds would be long for a test.
		if err := execAll(t.Context(), tx, "LOCK TABLE ONLY millrace.trades IN ACCESS EXCLUSIVE MODE", "SET LOCAL idle_in_transaction_session_timeout = '100ms'"); err != nil {
			return err
		}
		if _, err := other.Exec(t.Context(), "SET lock_timeout = '60s'"); err != nil {
			t.Error(err)
		}
		if _, err := other.Exec(t.Context(), "DELETE FROM millrace.trades"); err != nil {
			t.Errorf("who waits for the table: %v", err)
		}
		return execAll(t.Context(), tx, "SELECT")
	})
	if postgres.Code(err) != ended {
		t.Errorf("the run that was frozen: %v, want %s", err, ended)
	}
}
