// Package postgrestest tells how PostgreSQL runs a statement.
package postgrestest

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Plan is how a statement is run, as EXPLAIN puts it.
type Plan []string

// Generic returns the plan that a session keeps for a statement in a
// transaction, whatever its parameters are.
func Generic(t *testing.T, tx pgx.Tx, name, statement string) Plan {
	t.Helper()
	prepared, err := tx.Prepare(t.Context(), name, statement)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	nulls := strings.TrimSuffix(strings.Repeat("NULL, ", len(prepared.ParamOIDs)), ", ")
	rows, err := tx.Query(t.Context(), `EXPLAIN EXECUTE "`+name+`" (`+nulls+`)`)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return lines
}

func (p Plan) String() string { return strings.Join(p, "\n") }

// ReadsTable reports whether a table is read whole.
func (p Plan) ReadsTable() bool {
	return slices.ContainsFunc(p, func(line string) bool { return strings.Contains(line, "Seq Scan") })
}

// ReadsIndex reports whether an index is read whole, or all that it has of a
// function or a tenant, instead of being looked into for each row of a batch.
// All indexes meant here begin with the tenant and have two columns more.
func (p Plan) ReadsIndex() bool {
	for n, line := range p {
		if !strings.Contains(line, "Index Scan") && !strings.Contains(line, "Index Only Scan") {
			continue
		}
		const each, and = "Index Cond: ((tenant_id = ", " AND "
		if n+1 == len(p) || !strings.Contains(p[n+1], each) || strings.Count(p[n+1], and) < 2 {
			return true
		}
	}
	return false
}
