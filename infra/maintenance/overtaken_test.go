package maintenance

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/millrace/millrace/infra/stack/stacktest"
)

// A run that two others overtook must not put in place what the second of them
// has not copied whole.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	conn, err := connect(t.Context(), stacktest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	k := &keeper{Config: Config{Pages: 1, Tell: func(Done) {}}, conn: conn}
	trades := table{name: "trades", parts: 4}
	late := func(id, month string) time.Time {
		t.Helper()
		if _, err := conn.Exec(t.Context(), `
INSERT INTO millrace.trades (month, tenant_id, account, source, id, instrument, side, quantity, price, currency,
                             fee, state, executed_at, fill, entry, booked, version)
VALUES ($2::text::date, 'acme', 'a', '/desk', $1, 'X', 'buy', 1, 1, 'GBP', 0, 'executed', $2::text::timestamptz, 'f', 'e', 1, 1)`, id, month+" 00:00Z"); err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.DateOnly, month)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	march := late("T1", "2024-03-01")
	first, err := k.prepare(t.Context(), trades, []time.Time{march})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.refill(t.Context(), trades); err != nil { // the other goes on with this tree
		t.Fatal(err)
	}
	april := late("T2", "2024-04-01")
	second, err := k.prepare(t.Context(), trades, []time.Time{april})
	if err != nil || second == first {
		t.Fatalf("tree %d after %d: %v", second, first, err)
	}
	if err := k.swap(t.Context(), trades, first); !errors.Is(err, errOther) {
		t.Errorf("the swap of a tree that is gone: %v", err)
	}
	if _, err := k.refill(t.Context(), trades); err != nil {
		t.Error(err)
	}
	var rows int
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM millrace.trades`).Scan(&rows); err != nil || rows != 2 {
		t.Errorf("%d trades, %v", rows, err)
	}
}
