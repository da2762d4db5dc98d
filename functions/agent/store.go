package agent

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/function"
)

const (
	selectAgents = `
SELECT a.tenant_id, a.agent, a.name, a.status, a.reason, a.since, a.session, a.skills, a.features, a.version
FROM unnest($1::text[], $2::text[]) AS batch (tenant_id, agent)
CROSS JOIN LATERAL (
    SELECT *
    FROM millrace.agents AS a
    WHERE a.tenant_id = batch.tenant_id AND a.agent = batch.agent
    LIMIT 1 -- so that it looks into the index for each, even while the table is young
) AS a`

	// An array of arrays would have to be of equal ones, so skills come joined:
	// by a character that none of them has.
	upsertAgents = `
INSERT INTO millrace.agents (tenant_id, agent, name, status, reason, since, session, skills, features, version)
SELECT tenant_id, agent, name, status, reason, since, session, string_to_array(skills, E'\x1f'), features, version
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::bigint[], $8::text[],
            $9::jsonb[], $10::bigint[])
  AS batch (tenant_id, agent, name, status, reason, since, session, skills, features, version)
ON CONFLICT (tenant_id, agent) DO UPDATE
SET name = excluded.name, status = excluded.status, reason = excluded.reason, since = excluded.since,
    session = excluded.session, skills = excluded.skills, features = excluded.features, version = excluded.version`
)

func load(b *pgx.Batch, agents []*function.Entity[Agent]) {
	tenants, subjects := function.Keys(agents)
	b.Queue(selectAgents, tenants, subjects).Query(func(rows pgx.Rows) error {
		index := function.IndexOf(agents)
		for rows.Next() {
			var tenant, subject string
			var a Agent
			err := rows.Scan(&tenant, &subject, &a.Name, &a.Status, &a.Reason, &a.Since, &a.Session, &a.Skills,
				&a.Features, &a.Version)
			if err != nil {
				return err
			}
			a.Since = a.Since.UTC()
			*index.State(tenant, subject) = a
		}
		return rows.Err()
	})
}

func save(b *pgx.Batch, agents []*function.Entity[Agent]) {
	var rows []*function.Entity[Agent]
	for _, e := range agents {
		if e.State.changed {
			rows = append(rows, e)
		}
	}
	if len(rows) == 0 {
		return
	}
	type row = *function.Entity[Agent]
	tenants, subjects := function.Keys(rows)
	b.Queue(upsertAgents, tenants, subjects,
		function.Column(rows, func(r row) string { return r.State.Name }),
		function.Column(rows, func(r row) string { return string(r.State.Status) }),
		function.Column(rows, func(r row) string { return r.State.Reason }),
		function.Column(rows, func(r row) time.Time { return r.State.Since }),
		function.Column(rows, func(r row) int64 { return r.State.Session }),
		function.Column(rows, func(r row) string { return strings.Join(r.State.Skills, "\x1f") }),
		function.Column(rows, func(r row) string { return jsonOf(r.State.Features, "{}") }),
		function.Column(rows, func(r row) int64 { return r.State.Version }),
	)
}

// jsonOf returns a list or map as JSON; none is the empty one.
func jsonOf[T ~[]string | ~map[string]bool](items T, empty string) string {
	if len(items) == 0 {
		return empty
	}
	out, err := json.Marshal(items)
	if err != nil { // strings and booleans always have a JSON form
		panic(fmt.Sprintf("encoding %v: %v", items, err))
	}
	return string(out)
}
