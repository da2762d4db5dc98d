package maintenance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/postgres"
)

// refill moves the rows of the default partition into those of their months: see
// the package's documentation. It returns these.
func (k *keeper) refill(ctx context.Context, t table) (months []time.Time, err error) {
	months, rows, err := k.inDefault(ctx, k.conn, t)
	if err != nil {
		return nil, err
	}
	tree, err := k.tree(ctx, k.conn, t)
	if err != nil || tree == 0 && rows == 0 {
		return nil, err
	}
	done := Done{Table: t.name, Did: Moved, Months: months, Rows: rows}
	if k.DryRun {
		k.Tell(done)
		return months, nil
	}
	tree, err = k.prepare(ctx, t, months)
	if err == nil {
		err = k.copyAll(ctx, t)
	}
	if err == nil {
		err = k.awaitSnapshots(ctx)
	}
	if err == nil {
		err = k.swap(ctx, t, tree)
	}
	if errors.Is(err, errOther) || postgres.Code(err) == undefinedTable && !k.isTree(ctx, t, tree) {
		k.Tell(Done{Table: t.name, Did: Left, Note: "another run has emptied the default partition meanwhile"})
		return nil, nil
	}
	if err == nil {
		k.Tell(done)
	}
	return months, err
}

const (
	undefinedTable = "42P01"
	duplicateTable = "42P07"
)

// errOther is that another run was here first.
var errOther = errors.New("another run has emptied it")

// querier is a connection or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// inDefault returns the months that the default partition has rows of.
func (k *keeper) inDefault(ctx context.Context, q querier, t table) (months []time.Time, rows int64, err error) {
	found, err := q.Query(ctx, "SELECT month, count(*) FROM "+t.of("_default")+" GROUP BY month ORDER BY month")
	if err != nil {
		return nil, 0, err
	}
	var month time.Time
	var n int64
	_, err = pgx.ForEachRow(found, []any{&month, &n}, func() error {
		months, rows = append(months, month), rows+n
		return nil
	})
	return months, rows, err
}

// tree returns the id of the second tree, or 0 if there is none.
func (k *keeper) tree(ctx context.Context, q querier, t table) (id uint32, err error) {
	err = q.QueryRow(ctx, "SELECT coalesce(to_regclass($1)::oid, 0)", t.of("_refill")).Scan(&id)
	return id, err
}

func (k *keeper) isTree(ctx context.Context, t table, tree uint32) bool {
	is, err := k.tree(ctx, k.conn, t)
	return err != nil || is == tree
}

// of names a table that belongs to t.
func (t table) of(suffix string) string {
	return pgx.Identifier{"millrace", t.name + suffix}.Sanitize()
}

// own is such a name without its schema.
func (t table) own(suffix string) string { return pgx.Identifier{t.name + suffix}.Sanitize() }

func suffix(month time.Time) string { return month.Format("_2006_01") }

func bounds(month time.Time) (from, to string) {
	return "'" + month.Format(time.DateOnly) + "'", "'" + month.AddDate(0, 1, 0).Format(time.DateOnly) + "'"
}

// prepare makes the second tree with its trigger, unless they are there and fit.
// It is one transaction, so both are there or neither.
func (k *keeper) prepare(ctx context.Context, t table, months []time.Time) (tree uint32, err error) {
	err = k.giveWay(ctx, brief, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtext('millrace.make_month'))"); err != nil {
			return err
		}
		if tree, err = k.clearOther(ctx, tx, t); err != nil || tree != 0 {
			return err
		}
		if has, err := k.partitions(ctx, tx, t, t.of("")); err != nil || overlap(has, months) {
			return cmp.Or(err, errOther)
		}
		mirror, err := mirrorOf(ctx, tx, t)
		if err != nil {
			return err
		}
		if err := execAll(ctx, tx, append(treeOf(t, months), mirror...)...); err != nil {
			return err
		}
		tree, err = k.tree(ctx, tx, t)
		return err
	})
	// A swap that ends just now takes away the tree that was there a moment ago.
	if code := postgres.Code(err); code == duplicateTable || code == undefinedTable {
		err = errOther
	}
	return tree, err
}

func overlap(a, b []time.Time) bool {
	return slices.ContainsFunc(a, func(month time.Time) bool { return slices.Contains(b, month) })
}

// treeOf makes the tables of the second tree. The months have their names
// already: only the default one's is taken.
func treeOf(t table, months []time.Time) []string {
	tree := t.of("_refill")
	hash := fmt.Sprintf("SELECT millrace.make_hash_partitions('%s%%s', %d)", t.name, t.parts)
	statements := []string{
		"CREATE TABLE " + tree + " (LIKE " + t.of("") + " INCLUDING ALL) PARTITION BY RANGE (month)",
		"CREATE TABLE " + t.of("_refill_default") + " PARTITION OF " + tree + " DEFAULT PARTITION BY HASH (tenant_id)",
		fmt.Sprintf(hash, "_refill_default"),
	}
	for _, month := range months {
		from, to := bounds(month)
		statements = append(statements,
			fmt.Sprintf("CREATE TABLE %s PARTITION OF %s FOR VALUES FROM (%s) TO (%s) PARTITION BY HASH (tenant_id)", t.of(suffix(month)), tree, from, to),
			// So that the table takes it without reading it.
			fmt.Sprintf("ALTER TABLE %s ADD CONSTRAINT of_month CHECK (month IS NOT NULL AND month >= %s AND month < %s)", t.of(suffix(month)), from, to),
			fmt.Sprintf(hash, suffix(month)))
	}
	return statements
}

const columnsOf = `
SELECT quote_ident(a.attname), coalesce(a.attnum = ANY (i.indkey), false)
FROM pg_attribute AS a
LEFT JOIN pg_index AS i ON i.indrelid = a.attrelid AND i.indisprimary
WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY a.attnum`

// columns returns the columns that are written, and those of the key.
func columns(ctx context.Context, q querier, t table) (all, key []string, err error) {
	rows, err := q.Query(ctx, columnsOf, t.of(""))
	if err != nil {
		return nil, nil, err
	}
	var column string
	var isKey bool
	_, err = pgx.ForEachRow(rows, []any{&column, &isKey}, func() error {
		all = append(all, column)
		if isKey {
			key = append(key, column)
		}
		return nil
	})
	if err == nil && len(key) == 0 {
		err = errors.New("the table has no primary key, by which a row that is copied twice is known")
	}
	return all, key, err
}

// mirrorOf makes the trigger that repeats changes of the default partition in
// the second tree. It has the rights of who made it: a function's role need not
// know the tree.
func mirrorOf(ctx context.Context, q querier, t table) ([]string, error) {
	all, key, err := columns(ctx, q, t)
	if err != nil {
		return nil, err
	}
	var set []string
	for _, c := range all {
		if !slices.Contains(key, c) {
			set = append(set, c+" = excluded."+c)
		}
	}
	conflict := "NOTHING"
	if len(set) > 0 {
		conflict = "UPDATE SET " + strings.Join(set, ", ")
	}
	list := strings.Join(key, ", ")
	return []string{
		`CREATE FUNCTION ` + t.of("_mirror") + `() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $mirror$
BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM ` + t.of("_refill") + ` AS r WHERE (` + each("r.", key) + `) = (` + each("OLD.", key) + `);
    ELSE
        INSERT INTO ` + t.of("_refill") + ` (` + strings.Join(all, ", ") + `) VALUES (` + each("NEW.", all) + `)
        ON CONFLICT (` + list + `) DO ` + conflict + `;
    END IF;
    RETURN NULL;
END $mirror$`,
		"CREATE TRIGGER zz_mirror AFTER INSERT OR UPDATE OR DELETE ON " + t.of("_default") + " FOR EACH ROW EXECUTE FUNCTION " + t.of("_mirror") + "()",
	}, nil
}

func each(prefix string, columns []string) string {
	return prefix + strings.Join(columns, ", "+prefix)
}
