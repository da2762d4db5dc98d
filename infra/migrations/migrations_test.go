package migrations_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/infra/migrations"
	"github.com/millrace/millrace/infra/stack/stacktest"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

func TestMonthsAreMadeOnce(t *testing.T) {
	t.Parallel()
	url := stacktest.Postgres(t)
	first := time.Date(2031, 11, 30, 23, 30, 0, 0, time.FixedZone("west", -3600)) // in UTC it is December
	var total atomic.Int64
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			made, err := migrations.MakeMonths(t.Context(), url, first, 2)
			if err != nil {
				t.Error(err)
			}
			total.Add(int64(made))
		})
	}
	wg.Wait()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var tables int64
	const query = "SELECT count(*) FROM millrace.monthly_tables WHERE to_regclass('millrace.' || name || '_2031_12') IS NOT NULL AND to_regclass('millrace.' || name || '_2032_01') IS NOT NULL"
	if err := conn.QueryRow(t.Context(), query).Scan(&tables); err != nil {
		t.Fatal(err)
	}
	if tables == 0 || total.Load() != 2*tables {
		t.Errorf("%d tables have both months, %d were made", tables, total.Load())
	}
}

func TestUpIsSafeToRunTwiceAndAtOnce(t *testing.T) {
	t.Parallel()
	url := stacktest.EmptyPostgres(t)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := migrations.Up(t.Context(), url); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := migrations.Up(t.Context(), url); err != nil {
		t.Error(err)
	}
}

// A new file of the core has a lower number than the functions' files, which
// an older database has already.
func TestUpAppliesWhatCameLater(t *testing.T) {
	t.Parallel()
	url := stacktest.Postgres(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	const older = `
DELETE FROM public.goose_db_version WHERE version_id = 2;
DROP TABLE millrace.redactions;
DROP INDEX millrace.dead_letters_subject, millrace.dead_letters_event;
ALTER TABLE millrace.entities DROP COLUMN redacted;
ALTER TABLE millrace.parked DROP COLUMN digest;
ALTER TABLE millrace.dead_letters DROP COLUMN digest`
	if _, err := conn.Exec(t.Context(), older, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	if err := migrations.Up(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `SELECT digest FROM millrace.parked`); err != nil {
		t.Error(err)
	}
}
