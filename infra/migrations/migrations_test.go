package migrations_test

import (
	"context"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/infra/migrations"
	"github.com/millrace/millrace/infra/stack/stacktest"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

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
