package migrations_test

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"testing"
)

// readCatalogue is what statements and rows meet in a database. A limit concerns
// nobody who does not know the columns that it names last. Partitions are as
// their tables.
const readCatalogue = `
WITH schemas AS (
    SELECT oid, nspname FROM pg_namespace WHERE nspname IN ('millrace', 'millrace_archive')
),
tables AS (
    SELECT c.*, nspname || '.' || relname AS name
    FROM pg_class AS c
    JOIN schemas AS s ON s.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND NOT c.relispartition
),
columns AS (
    SELECT a.*, t.name AS of, t.name || '.' || a.attname AS name, t.relkind, pg_get_expr(d.adbin, d.adrelid) AS value
    FROM tables AS t
    JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
)
SELECT 'table', name, name, replace(relkind::text, 'p', 'r'), '' FROM tables
UNION ALL
SELECT 'column', of, name, format_type(atttypid, atttypmod) || ' ' || attidentity::text || attgenerated::text, '' FROM columns
UNION ALL
SELECT 'default', of, name, value, name FROM columns WHERE value IS NOT NULL
UNION ALL
SELECT 'not null', of, name, '', CASE WHEN value IS NOT NULL OR attidentity <> '' THEN name ELSE '' END
FROM columns WHERE attnotnull AND relkind IN ('r', 'p')
UNION ALL
SELECT CASE c.contype WHEN 'c' THEN 'check' WHEN 'f' THEN 'foreign key' ELSE 'key' END,
       t.name, t.name || '.' || c.conname, pg_get_constraintdef(c.oid),
       coalesce((SELECT string_agg(a.name, ',') FROM columns AS a WHERE a.attrelid = t.oid AND a.attnum = ANY (c.conkey)), '')
FROM tables AS t JOIN pg_constraint AS c ON c.conrelid = t.oid
WHERE c.contype IN ('c', 'f', 'p', 'u', 'x')
UNION ALL
SELECT 'key', t.name, t.name || '.' || n.relname, pg_get_indexdef(n.oid), ''
FROM tables AS t JOIN pg_index AS i ON i.indrelid = t.oid JOIN pg_class AS n ON n.oid = i.indexrelid
WHERE i.indisunique AND NOT EXISTS (SELECT FROM pg_constraint AS c WHERE c.conindid = n.oid)
UNION ALL
SELECT 'trigger', t.name, t.name || '.' || g.tgname, pg_get_triggerdef(g.oid), ''
FROM tables AS t JOIN pg_trigger AS g ON g.tgrelid = t.oid WHERE NOT g.tgisinternal
UNION ALL
SELECT 'policy', t.name, t.name || '.' || p.polname, concat(pg_get_expr(p.polqual, t.oid), pg_get_expr(p.polwithcheck, t.oid)), ''
FROM tables AS t JOIN pg_policy AS p ON p.polrelid = t.oid
UNION ALL
SELECT 'row security', name, name, relforcerowsecurity::text, '' FROM tables WHERE relrowsecurity
UNION ALL
SELECT 'view', name, name, pg_get_viewdef(oid), '' FROM tables WHERE relkind IN ('v', 'm')
UNION ALL
SELECT 'function', '', nspname || '.' || proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', pg_get_functiondef(p.oid), ''
FROM pg_proc AS p JOIN schemas AS s ON s.oid = p.pronamespace WHERE p.prokind = 'f'
UNION ALL
SELECT 'domain', '', nspname || '.' || typname,
       format_type(typbasetype, typtypmod) || coalesce((SELECT string_agg(pg_get_constraintdef(c.oid), ' ' ORDER BY conname) FROM pg_constraint AS c WHERE contypid = t.oid), ''), ''
FROM pg_type AS t JOIN schemas AS s ON s.oid = t.typnamespace WHERE t.typtype = 'd'`

// thing is something in the catalogue: its kind, its name, and of which table.
type thing struct{ kind, table, name string }

func (th thing) String() string { return th.kind + " " + th.name }

type catalogue map[thing]struct{ definition, columns string }

type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func catalogueOf(t *testing.T, db queryer) catalogue {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), readCatalogue)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	all := catalogue{}
	for rows.Next() {
		var th thing
		is := all[th]
		if err := rows.Scan(&th.kind, &th.table, &th.name, &is.definition, &is.columns); err != nil {
			t.Fatal(err)
		}
		all[th] = is
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// contractions says what a revision that knows the catalogue before may fail on
// in the one after: what it used is gone or another, or its rows are refused.
func contractions(before, after catalogue) (all []string) {
	loosened := []string{"check", "foreign key", "not null", "row security"} // when they are gone
	for th, was := range before {
		switch is, there := after[th]; {
		case !there && !slices.Contains(loosened, th.kind):
			all = append(all, "removes "+th.String())
		case there && is.definition != was.definition:
			all = append(all, "changes "+th.String())
		}
	}
	for th, is := range after {
		_, was := before[th]
		_, known := before[thing{"table", th.table, th.table}]
		if !was && known && limits(th) && !before.lacks(th, is.columns) {
			all = append(all, "adds "+th.String())
		}
	}
	slices.Sort(all)
	return all
}

// limits reports whether something may refuse rows, or change them.
func limits(th thing) bool {
	return slices.Contains([]string{"not null", "check", "foreign key", "key", "trigger", "policy", "row security"}, th.kind)
}

// lacks reports whether all columns that a limit concerns are new: then they are
// null, or what their default says. A key may refuse that too.
func (c catalogue) lacks(th thing, columns string) bool {
	if columns == "" || th.kind == "key" {
		return false
	}
	return !slices.ContainsFunc(strings.Split(columns, ","), func(column string) bool {
		_, known := c[thing{"column", th.table, column}]
		return known
	})
}
