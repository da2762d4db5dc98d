package runtime

import (
	"testing"

	"github.com/millrace/millrace/shared/postgres/postgrestest"
)

// While tables are small, and PostgreSQL knows it, statements are planned by
// index too: a session keeps these plans until the tables have grown and are
// analysed again.
func TestPlansOfYoungTables(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.process(t, add("a", "x", 1, 1), add("c", "x", 3, 1))
	if _, err := w.pool.Exec(t.Context(), `ANALYZE`); err != nil {
		t.Fatal(err)
	}
	tx, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }() // nothing was written
	if _, err := tx.Exec(t.Context(), prepared); err != nil {
		t.Fatal(err)
	}
	for name, statement := range map[string]string{
		"lockEntities": lockEntities, "readStreams": readStreams, "readSeen": readSeen, "lockSeen": lockSeen,
		"readNextParked": readNextParked, "readParkedAt": readParkedAt, "readDecisions": readDecisions,
		"readRedactions": readRedactions, "lockElsewhere": lockElsewhere, "readAuditCopies": readAuditCopies,
		"readParkedCopies": readParkedCopies, "deleteParked": deleteParked, "overwriteAudit": overwriteAudit,
	} {
		if plan := postgrestest.Generic(t, tx, name, statement); plan.ReadsTable() || plan.ReadsIndex() {
			t.Errorf("%s reads a table or an index whole:\n%s", name, plan)
		}
	}
}
