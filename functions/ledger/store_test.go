package ledger

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function/functiontest"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

func TestPartialLoadsEqualTheWholeFold(t *testing.T) {
	t.Parallel()
	functiontest.PartialLoads(t, New(), stacktest.Postgres(t), history)
}

// TestDatabaseGuardsTheJournal tries everything that must not happen to entries
// and postings, around the rules.
func TestDatabaseGuardsTheJournal(t *testing.T) {
	t.Parallel()
	conn := functiontest.Connect(t, stacktest.Postgres(t))
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
