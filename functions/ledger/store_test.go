package ledger

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"pgregory.net/rapid"

	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function/functiontest"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

func connect(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), stacktest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return conn
}

// TestPartialLoadsEqualTheWholeFold decides histories in random batches, each
// of which loads only what it needs, and compares with the fold in memory.
func TestPartialLoadsEqualTheWholeFold(t *testing.T) {
	t.Parallel()
	conn := connect(t)
	checks := 0
	rapid.Check(t, func(t *rapid.T) {
		checks++
		subject := fmt.Sprintf("account {%d}'; --", checks)
		store, fold := functiontest.NewStore(New(), conn), functiontest.NewFold(New(), subject)
		events := history(t)
		for _, e := range events {
			e.Subject = subject
		}
		for len(events) > 0 {
			n := rapid.IntRange(1, len(events)).Draw(t, "batch")
			refusals := store.Batch(t.Context(), t, events[:n])
			for i, e := range events[:n] {
				if _, want := fold.Decide(t, e); refusals[i] != want {
					t.Fatalf("%s %s: refused with %q, want %q", e.Type, e.Data, refusals[i], want)
				}
			}
			events = events[n:]
		}
		if got, want := store.State(t.Context(), t, subject), fold.State(t); got != want {
			t.Fatalf("the database has\n%s\nthe fold\n%s", got, want)
		}
	})
}

// TestDatabaseGuardsTheJournal tries everything that must not happen to entries
// and postings, around the rules.
func TestDatabaseGuardsTheJournal(t *testing.T) {
	t.Parallel()
	conn := connect(t)
	functiontest.NewStore(New(), conn).Batch(t.Context(), t, []*event.Event{
		posted("1", cash), posted("2", cash), reversed("3", "2"),
	})
	if _, err := conn.Exec(t.Context(), "SELECT millrace.make_month('2025-04-01')"); err != nil {
		t.Fatal(err)
	}
	var leaf string
	if err := conn.QueryRow(t.Context(), "SELECT tableoid::regclass FROM millrace.postings LIMIT 1").Scan(&leaf); err != nil {
		t.Fatal(err)
	}
	const (
		entry   = "INSERT INTO millrace.entries (month, tenant_id, journal, version, source, id, description, lines, posted_at) VALUES "
		posting = " (month, tenant_id, journal, version, line, account, currency, amount) VALUES "
		add     = entry + "('2025-03-01', 'acme', 'acct-1', 9, '/desk', '9', '', 2, '2025-03-01 00:00Z'); "
		lines   = "('2025-03-01', 'acme', 'acct-1', 9, 1, 'a', 'USD', 5), ('2025-03-01', 'acme', 'acct-1', 9, 2, 'b', 'USD', -5)"
	)
	if _, err := conn.Exec(t.Context(), "BEGIN; "+add+"INSERT INTO millrace.postings"+posting+lines+"; ROLLBACK"); err != nil {
		t.Fatalf("what is right was refused: %v", err)
	}
	for _, c := range []struct{ sql, constraint string }{
		{add + "INSERT INTO millrace.postings" + posting + "('2025-03-01', 'acme', 'acct-1', 9, 1, 'a', 'USD', 5), ('2025-03-01', 'acme', 'acct-1', 9, 2, 'b', 'USD', -4)", "postings_zero_sum"},
		{add + "INSERT INTO millrace.postings" + posting + "('2025-03-01', 'acme', 'acct-1', 9, 1, 'a', 'USD', 5), ('2025-03-01', 'acme', 'acct-1', 9, 2, 'b', 'EUR', -5)", "postings_zero_sum"},
		{add + "INSERT INTO millrace.postings" + posting + lines + ", ('2025-03-01', 'acme', 'acct-1', 9, 3, 'a', 'JPY', 1), ('2025-03-01', 'acme', 'acct-1', 9, 4, 'b', 'JPY', -1)", "postings_entry"},
		{"INSERT INTO millrace.postings" + posting + lines, "postings_entry"}, // no entry
		{add + "INSERT INTO " + leaf + posting + lines, "postings_through_parent"},
		{add + "INSERT INTO millrace.postings_2025_04_0" + posting + lines, "postings_through_parent"}, // of a month made later
		{"UPDATE millrace.postings SET amount = -amount", "postings_append_only"},
		{"UPDATE " + leaf + " SET amount = -amount", "postings_append_only"},
		{"DELETE FROM millrace.postings", "postings_append_only"},
		{"DELETE FROM " + leaf, "postings_append_only"},
		{"TRUNCATE millrace.postings", "postings_no_truncate"},
		{"DELETE FROM millrace.entries", "entries_stay"},
		{"TRUNCATE millrace.entries", "entries_no_truncate"},
		{"UPDATE millrace.entries SET description = 'other'", "entries_append_only"},
		{"UPDATE millrace.entries SET reversed_by = 'x', description = 'other' WHERE id = '1'", "entries_append_only"},
		{"UPDATE millrace.entries SET reversed_by = 'x' WHERE id = '2'", "entries_append_only"},
		{"UPDATE millrace.entries SET reversed_by = NULL WHERE id = '2'", "entries_append_only"},
		{"UPDATE millrace.entries SET reversed_by = '1' WHERE id = '1'", "entries_reversed_by_another"},
		{entry + "('2025-03-01', 'acme', 'acct-1', 9, '/desk', '9', '', 1, '2025-03-01 00:00Z')", "entries_lines_check"},
		{entry + "('2025-03-01', 'acme', 'acct-1', 9, '/desk', '9', '', 2, '2025-04-01 00:30+02')", ""}, // still March in UTC
		{entry + "('2025-04-01', 'acme', 'acct-1', 9, '/desk', '9', '', 2, '2025-04-01 00:30+02')", "entries_in_month"},
		{add + "INSERT INTO millrace.postings" + posting + "('2025-03-01', 'acme', 'acct-1', 9, 1, 'a', 'USD', 'NaN'), ('2025-03-01', 'acme', 'acct-1', 9, 2, 'b', 'USD', 'NaN')", "exact_check"},
		{add + "INSERT INTO millrace.postings" + posting + "('2025-03-01', 'acme', 'acct-1', 9, 1, 'a', 'USD', 0), ('2025-03-01', 'acme', 'acct-1', 9, 2, 'b', 'USD', 0)", "postings_amount_check"},
	} {
		_, err := conn.Exec(t.Context(), "BEGIN; "+c.sql)
		var refused *pgconn.PgError
		if c.constraint == "" {
			if err != nil {
				t.Errorf("%s\n%v", c.sql, err)
			}
		} else if !errors.As(err, &refused) || refused.ConstraintName != c.constraint {
			t.Errorf("%s\ngave %v, want a violation of %s", c.sql, err, c.constraint)
		}
		if _, err := conn.Exec(t.Context(), "ROLLBACK"); err != nil {
			t.Fatal(err)
		}
	}
}
