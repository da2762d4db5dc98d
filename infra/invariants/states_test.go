package invariants

import (
	"maps"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/functions"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/function"
)

// A function that is new is verified without a word here: where its states are
// follows from what it loads.
func TestTablesFollowFromTheFunction(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), stacktest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	for _, fn := range functions.All() {
		tables := tablesOf(fn)
		if tables[""] == "" {
			t.Errorf("%s: no table is found in what it loads", fn.FunctionName())
		}
		for _, table := range tables {
			var there bool
			if err := conn.QueryRow(t.Context(), `SELECT to_regclass($1) IS NOT NULL`, table).Scan(&there); err != nil || !there {
				t.Errorf("%s: table %s: %v, error %v", fn.FunctionName(), table, there, err)
			}
		}
	}
	type counter struct{ Count int64 }
	visit := &function.Function[counter]{Name: "visit", LoadAll: func(b *pgx.Batch, _ []*function.Entity[counter]) {
		b.Queue("SELECT c.count\nFROM unnest($1::text[]) AS batch (subject)\nJOIN millrace.visit_counters AS c USING (subject)")
	}}
	want := map[string]string{"": "millrace.visit_counters", "visit_counters": "millrace.visit_counters"}
	if got := tablesOf(visit); !maps.Equal(got, want) {
		t.Errorf("visit: %v", got)
	}
	rows := stateRows(visit, "acme/shop-1", `{"count":3}`, `{"count":2}`)
	if len(rows) != 1 || rows[0].String() != "millrace.visit_counters acme/shop-1 count: is 3, should be 2" {
		t.Error(rows)
	}
}
