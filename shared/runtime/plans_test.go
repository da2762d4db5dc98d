package runtime

import (
	"strings"
	"testing"
)

// While tables are small, and PostgreSQL knows it, statements are planned by
// index too: a session keeps these plans when the tables have grown.
func TestPlansOfYoungTables(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.process(t, add("a", "x", 1, 1), add("c", "x", 3, 1))
	if _, err := w.pool.Exec(t.Context(), `ANALYZE`); err != nil {
		t.Fatal(err)
	}
	conn, err := w.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }() // nothing was written
	if _, err := tx.Exec(t.Context(), prepared); err != nil {
		t.Fatal(err)
	}
	for name, statement := range map[string]string{
		"lockEntities": lockEntities, "readStreams": readStreams, "readSeen": readSeen, "readNextParked": readNextParked,
		"readParkedAt": readParkedAt, "deleteParked": deleteParked, "readRedactions": readRedactions,
		"readAuditCopies": readAuditCopies, "readDecisions": readDecisions, "overwriteAudit": overwriteAudit, "markEntities": markEntities,
	} {
		prepared, err := tx.Prepare(t.Context(), name, statement)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		nulls := strings.TrimSuffix(strings.Repeat("NULL, ", len(prepared.ParamOIDs)), ", ")
		rows, err := tx.Query(t.Context(), `EXPLAIN EXECUTE "`+name+`" (`+nulls+`)`)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if strings.Contains(line, "Seq Scan") {
				t.Errorf("%s reads a table whole: %s", name, strings.TrimSpace(line))
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}
