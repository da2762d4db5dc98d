package outbox

import (
	"testing"

	"github.com/millrace/millrace/shared/postgres"
	"github.com/millrace/millrace/shared/postgres/postgrestest"
)

// What is shown is looked up row by row, even while tables are small and
// PostgreSQL knows it.
func TestPlansOfYoungTables(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(t, `ANALYZE`)
	tx, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }() // nothing was written
	if _, err := tx.Exec(t.Context(), `SELECT `+postgres.PlanSettings); err != nil {
		t.Fatal(err)
	}
	for name, statement := range map[string]string{"readVersions": readVersions, "sumAggregates": sumAggregates} {
		if plan := postgrestest.Generic(t, tx, name, statement); plan.ReadsTable() || plan.ReadsIndex() {
			t.Errorf("%s reads a table or an index whole:\n%s", name, plan)
		}
	}
}
