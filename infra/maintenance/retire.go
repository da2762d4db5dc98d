package maintenance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// checkRetention refuses to take months out of tables that are needed whole.
func (k *keeper) checkRetention(tables []table) error {
	known := map[string]table{}
	for _, t := range tables {
		known[t.name] = t
	}
	names := maps.Clone(k.DetachAfter)
	if names == nil {
		names = map[string]int{}
	}
	maps.Copy(names, k.DropAfter)
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(names)) {
		switch t, ok := known[name]; {
		case !ok:
			errs = append(errs, fmt.Errorf("there is no monthly table %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(known)), ", ")))
		case name == "audit":
			errs = append(errs, errors.New("months of audit are not taken out: entities are folded from their first decision, "+
				"and nothing that could stand for the first ones is kept (docs/operations.md, Months and retention)"))
		case !t.detachable:
			errs = append(errs, fmt.Errorf("months of %s are not taken out: its rows are state of entities, which later events may change "+
				"and which millrace verify compares with the whole audit log (docs/operations.md, Months and retention)", name))
		}
	}
	return errors.Join(errs...)
}

// retire detaches and drops the old months of a table.
func (k *keeper) retire(ctx context.Context, t table) error {
	detach, drop := k.DetachAfter[t.name], k.DropAfter[t.name]
	if detach == 0 && drop == 0 {
		return nil
	}
	months, err := k.partitions(ctx, k.conn, t, t.of(""))
	for _, month := range months {
		switch {
		case err != nil:
		case drop > 0 && month.Before(firstOf(k.past, -drop)):
			err = k.do(Done{Table: t.name, Did: Dropped, Months: []time.Time{month}}, func() error { return k.drop(ctx, t, month) })
		case detach > 0 && month.Before(firstOf(k.past, -detach)):
			err = k.detach(ctx, t, month)
		}
	}
	if err == nil && drop > 0 {
		err = k.dropKept(ctx, t, drop)
	}
	if err != nil {
		return fmt.Errorf("old months of %s: %w", t.name, err)
	}
	return nil
}

// do does something, but in a dry run, and tells of it.
func (k *keeper) do(done Done, do func() error) error {
	if !k.DryRun {
		if err := do(); err != nil {
			return err
		}
	}
	k.Tell(done)
	return nil
}

// PostgreSQL detaches nothing CONCURRENTLY from a table that has a default
// partition. So the table is locked, for as long as the catalogue is changed;
// being one transaction, nothing is left half done.

func (k *keeper) drop(ctx context.Context, t table, month time.Time) error {
	return k.giveWay(ctx, patient, func(tx pgx.Tx) error {
		return execAll(ctx, tx,
			"LOCK TABLE ONLY "+t.of("")+" IN ACCESS EXCLUSIVE MODE",
			"DROP TABLE IF EXISTS "+t.of(suffix(month)))
	})
}

// detach keeps a month as a table of schema millrace_archive. Rows of it that
// come later make the month anew; a table of its name may be kept there already.
func (k *keeper) detach(ctx context.Context, t table, month time.Time) error {
	again := ""
	for n := 2; ; n++ {
		var taken bool
		err := k.conn.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", archived(t.name+suffix(month)+again)).Scan(&taken)
		if err != nil {
			return err
		}
		if !taken {
			break
		}
		again = fmt.Sprintf("_kept%d", n)
	}
	done := Done{Table: t.name, Did: Detached, Months: []time.Time{month}, Note: "kept as " + archived(t.name+suffix(month)+again)}
	return k.do(done, func() error { return k.detachAs(ctx, t, month, again) })
}

const membersOf = `
SELECT c.relname, true AS is_index
FROM pg_partition_tree($1) AS p
JOIN pg_index AS i ON i.indrelid = p.relid
JOIN pg_class AS c ON c.oid = i.indexrelid
UNION ALL
SELECT c.relname, false
FROM pg_partition_tree($1) AS p
JOIN pg_class AS c ON c.oid = p.relid
ORDER BY is_index DESC -- while they are in the schema that they are named in`

// detachAs detaches a month, and gives its tables and indexes names that are
// free where they go.
func (k *keeper) detachAs(ctx context.Context, t table, month time.Time, again string) error {
	return k.giveWay(ctx, patient, func(tx pgx.Tx) error {
		if err := execAll(ctx, tx, "LOCK TABLE ONLY "+t.of("")+" IN ACCESS EXCLUSIVE MODE"); err != nil {
			return err
		}
		months, err := k.partitions(ctx, tx, t, t.of(""))
		if err != nil || !slices.Contains(months, month) { // another run was here first
			return err
		}
		rows, err := tx.Query(ctx, membersOf, t.of(suffix(month)))
		if err != nil {
			return err
		}
		statements := []string{"ALTER TABLE " + t.of("") + " DETACH PARTITION " + t.of(suffix(month))}
		var name string
		var isIndex bool
		if _, err := pgx.ForEachRow(rows, []any{&name, &isIndex}, func() error {
			statements = append(statements, move(name, again, isIndex)...)
			return nil
		}); err != nil {
			return err
		}
		return execAll(ctx, tx, statements...)
	})
}

// move takes a table to the other schema. Its indexes go with it.
func move(name, again string, isIndex bool) (statements []string) {
	kind := "TABLE "
	if isIndex {
		kind = "INDEX "
	}
	if again != "" {
		statements = append(statements, "ALTER "+kind+pgx.Identifier{"millrace", name}.Sanitize()+" RENAME TO "+pgx.Identifier{name + again}.Sanitize())
	}
	if !isIndex {
		statements = append(statements, "ALTER TABLE "+pgx.Identifier{"millrace", name + again}.Sanitize()+" SET SCHEMA millrace_archive")
	}
	return statements
}

func archived(name string) string { return pgx.Identifier{"millrace_archive", name}.Sanitize() }

const keptTables = `
SELECT relname
FROM pg_class
WHERE relnamespace = 'millrace_archive'::regnamespace AND relkind = 'p'
ORDER BY relname`

func (k *keeper) dropKept(ctx context.Context, t table, after int) error {
	rows, err := k.conn.Query(ctx, keptTables)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, name := range names {
		month, ok := t.monthOf(name)
		if err != nil || !ok || !month.Before(firstOf(k.past, -after)) {
			continue
		}
		err = k.do(Done{Table: t.name, Did: Dropped, Months: []time.Time{month}, Note: "it was kept as " + archived(name)}, func() error {
			return k.giveWay(ctx, brief, func(tx pgx.Tx) error { return execAll(ctx, tx, "DROP TABLE IF EXISTS "+archived(name)) })
		})
	}
	return err
}
