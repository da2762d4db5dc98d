package maintenance_test

import (
	"context"
	"testing"

	"github.com/millrace/millrace/infra/maintenance"
	"github.com/millrace/millrace/infra/migrations"
)

// abandon leaves the second tree of a run that was killed before the swap.
func (w *world) abandon(t *testing.T) {
	t.Helper()
	release := w.hold(t, `LOCK TABLE ONLY millrace.visits IN ACCESS SHARE MODE`)
	defer release()
	failed := make(chan error)
	go func() { _, err := w.try(context.WithoutCancel(t.Context()), maintenance.Config{}); failed <- err }()
	w.await(t, killed)
	if err := <-failed; err == nil {
		t.Error("it went on")
	}
	expect(t, "copied", w.text(t, `SELECT count(*)::text FROM millrace.visits_refill`), "6")
}

// A migration changes the table before the next run.
func TestTableChangesAfterARunIsKilled(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{
		"column added":   `ALTER TABLE millrace.visits ADD COLUMN more text`,
		"column renamed": `ALTER TABLE millrace.visits RENAME COLUMN what TO which`,
		"index added":    `CREATE INDEX ON millrace.visits (what)`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.script(t, visits+`; ALTER TABLE millrace.visits ADD COLUMN what text`)
			w.abandon(t)
			w.script(t, change)
			has(t, w.maintain(t, maintenance.Config{}), "visits: moved 6 rows of 2023-10, 2023-11, 2023-12, 2024-01, 2024-02, 2024-03")
			expect(t, "rows", w.text(t, `SELECT count(DISTINCT n)::text FROM millrace.visits`), "6")
		})
	}
}

// Migrating throws the copies away, so that the trigger fails no write.
func TestMigrationAfterARunIsKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.script(t, visits)
	w.abandon(t)
	if err := migrations.Up(t.Context(), w.url); err != nil {
		t.Fatal(err)
	}
	expect(t, "kept, as there is nothing to migrate", w.text(t, `SELECT (to_regclass('millrace.visits_refill') IS NOT NULL)::text`), "true")
	w.script(t, `DELETE FROM public.goose_db_version WHERE version_id = 8;
DROP SCHEMA millrace_archive; ALTER TABLE millrace.monthly_tables DROP COLUMN detachable`)
	if err := migrations.Up(t.Context(), w.url); err != nil {
		t.Fatal(err)
	}
	expect(t, "left", w.text(t, `SELECT count(*)::text FROM pg_class WHERE relname ~ '^visits_(refill|2)'`), "0")
	expect(t, "left", w.text(t, `SELECT (SELECT count(*) FROM pg_proc WHERE proname = 'visits_mirror')::text`), "0")
	has(t, w.maintain(t, maintenance.Config{}), "visits: moved 6 rows of 2023-10, 2023-11, 2023-12, 2024-01, 2024-02, 2024-03")
}
