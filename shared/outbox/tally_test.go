package outbox

import (
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/views"
)

// tally is a small function for tests: an entity is a number, and the aggregate
// "sum" adds all of a tenant up.
type tally struct{ Total int64 }

const tallyTable = `
CREATE TABLE tallies (
    tenant_id text, subject text, total bigint NOT NULL,
    PRIMARY KEY (tenant_id, subject)
)`

const loadTallies = `
SELECT t.tenant_id, t.subject, t.total
FROM unnest($1::text[], $2::text[]) AS batch (tenant_id, subject)
JOIN tallies AS t USING (tenant_id, subject)`

func newTally() *function.Function[tally] {
	return &function.Function[tally]{
		Name:      "tally",
		LoadViews: loadTally,
		Views:     tallyViews,
		Aggregates: map[string]func(function.Aggregate) []views.View{
			"sum": func(a function.Aggregate) []views.View {
				fields := map[string]string{}
				for field, value := range a.Fields {
					fields[field] = value.String()
				}
				return []views.View{views.Hash{Key: views.Key(a.TenantID, "sum", a.Key), Version: a.Version, Fields: fields}}
			},
		},
	}
}

func tallyViews(e *function.Entity[tally]) []views.View {
	total := strconv.FormatInt(e.State.Total, 10)
	return []views.View{
		views.Hash{Key: views.Key(e.TenantID, "tally", e.Subject), Version: e.Version, Fields: map[string]string{"total": total}},
		views.Member{Key: views.Key(e.TenantID, "tallies"), Member: e.Subject, Version: e.Version,
			Score: float64(e.State.Total), Present: e.State.Total != 0},
	}
}

func loadTally(b *pgx.Batch, entities []*function.Entity[tally]) {
	byKey := map[[2]string]*function.Entity[tally]{}
	var tenants, subjects []string
	for _, e := range entities {
		byKey[[2]string{e.TenantID, e.Subject}] = e
		tenants, subjects = append(tenants, e.TenantID), append(subjects, e.Subject)
	}
	b.Queue(loadTallies, tenants, subjects).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var key [2]string
			var total int64
			if err := rows.Scan(&key[0], &key[1], &total); err != nil {
				return err
			}
			byKey[key].State.Total = total
		}
		return rows.Err()
	})
}

// subjectOf names the nth entity of the tests.
func subjectOf(n int) string { return fmt.Sprintf("t-%03d", n) }
