package main

import (
	"log/slog"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/infra/stack/stacktest"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

// An empty database is ready for the functions after one run.
func TestMigrates(t *testing.T) { //nolint:paralleltest // it sets the environment
	url := stacktest.EmptyPostgres(t)
	t.Setenv("DATABASE_URL", url)
	t.Setenv("MAINTAIN_MIGRATE", "true")
	for range 2 {
		if err := run(t.Context(), slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context()) //nolint:errcheck // the test is over
	var months int
	const ahead = `SELECT count(*) FROM pg_inherits WHERE inhparent = 'millrace.trades'::regclass`
	if err := conn.QueryRow(t.Context(), ahead).Scan(&months); err != nil || months < 5 {
		t.Errorf("trades has %d months and a default, %v", months, err)
	}
}
