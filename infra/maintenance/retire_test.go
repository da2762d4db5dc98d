package maintenance_test

import (
	"context"
	"strings"
	"testing"

	"github.com/millrace/millrace/infra/maintenance"
)

// visits is a table that nobody's state is in.
const visits = `
CREATE TABLE millrace.visits (
    month date NOT NULL, tenant_id text NOT NULL, n int NOT NULL, PRIMARY KEY (tenant_id, n, month)
) PARTITION BY RANGE (month);
SELECT millrace.add_monthly_table('visits', 2);
UPDATE millrace.monthly_tables SET detachable = true WHERE name = 'visits';
INSERT INTO millrace.visits SELECT date '2023-10-01' + make_interval(months => n), 'acme', n FROM generate_series(0, 5) AS n`

func TestOldMonthsAreDetachedAndDropped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.script(t, visits)
	w.maintain(t, maintenance.Config{})
	expect(t, "at first", w.partitions(t, "visits"), "2023_10 2023_11 2023_12 2024_01 2024_02 2024_03 2024_04 2024_05 default")
	retention := maintenance.Config{DetachAfter: map[string]int{"visits": 3}, DropAfter: map[string]int{"visits": 5}}
	dry := retention
	dry.DryRun = true
	told := w.maintain(t, dry)
	done := w.maintain(t, retention)
	expect(t, "what a dry run tells", strings.Join(told, "\n"), strings.Join(done, "\n"))
	has(t, done, "visits: dropped 2023-10")
	has(t, done, `visits: detached 2023-11: kept as "millrace_archive"."visits_2023_11"`)
	has(t, done, `visits: detached 2023-12: kept as "millrace_archive"."visits_2023_12"`)
	expect(t, "after it", w.partitions(t, "visits"), "2024_01 2024_02 2024_03 2024_04 2024_05 default")
	expect(t, "kept", w.text(t, `SELECT string_agg(n::text, ' ') FROM millrace_archive.visits_2023_11`), "1")
	expect(t, "again", strings.Join(w.maintain(t, retention), "\n"), "")

	// Rows of a detached month come late: it is made, and detached, once more.
	w.script(t, `INSERT INTO millrace.visits VALUES ('2023-11-01', 'acme', 1)`)
	has(t, w.maintain(t, retention), `visits: detached 2023-11: kept as "millrace_archive"."visits_2023_11_kept2"`)
	retention.Now = april.AddDate(0, 1, 0)
	done = w.maintain(t, retention)
	has(t, done, `visits: dropped 2023-11: it was kept as "millrace_archive"."visits_2023_11"`)
	has(t, done, `visits: dropped 2023-11: it was kept as "millrace_archive"."visits_2023_11_kept2"`)
	expect(t, "in May", w.partitions(t, "visits"), "2024_02 2024_03 2024_04 2024_05 2024_06 default")
}

// A run that waits for a lock, to detach a month, is killed.
func TestKilledBeforeDetaching(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.script(t, visits)
	w.maintain(t, maintenance.Config{})
	release := w.hold(t, `LOCK TABLE ONLY millrace.visits IN ACCESS SHARE MODE`)
	retention := maintenance.Config{DetachAfter: map[string]int{"visits": 5}}
	failed := make(chan error)
	go func() { _, err := w.try(context.WithoutCancel(t.Context()), retention); failed <- err }()
	w.await(t, killed)
	if err := <-failed; err == nil {
		t.Error("it went on")
	}
	release()
	has(t, w.maintain(t, retention), `visits: detached 2023-10: kept as "millrace_archive"."visits_2023_10"`)
}

// What the state of entities is folded from, and compared with, stays.
func TestRetentionIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply(t, "trade.executed.v1", "T1", "account", april.AddDate(-2, 0, 0), executed)
	done, err := w.try(t.Context(), maintenance.Config{
		DetachAfter: map[string]int{"audit": 12, "trade": 12}, DropAfter: map[string]int{"trades": 12},
	})
	for _, want := range []string{
		"months of audit are not taken out: entities are folded from their first decision",
		`there is no monthly table "trade"; there are audit, entries, fills, messages, postings, trades`,
		"months of trades are not taken out: its rows are state of entities",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	expect(t, "what was done", len(done), 0)
	expect(t, "trades", w.text(t, `SELECT count(*)::text FROM millrace.trades`), "1")
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	c := maintenance.Config{Ahead: 0, SeenAfter: 34, LettersAfter: 1, DetachAfter: map[string]int{"v": 12, "w": 0}, DropAfter: map[string]int{"v": 3}}
	err := c.Validate()
	for _, want := range []string{"months ahead are 0", "forgotten after 34d: producers are promised 35 days", "deleted after 1d",
		"months of w are to go after 0 months", "months of v are to be dropped after 3 months, before they are detached"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}
