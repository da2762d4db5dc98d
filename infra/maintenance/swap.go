package maintenance

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"
)

// swap puts the partitions of the second tree in the place of the default one.
// Nobody reads or writes the table meanwhile: it waits for the transactions that
// do, and those that come wait for it. No row is read: the months are known to
// be right, and the new default partition has what came of yet other months
// since the tree was made.
func (k *keeper) swap(ctx context.Context, t table, tree uint32) error {
	return k.giveWay(ctx, patient, func(tx pgx.Tx) error {
		months, err := k.partitions(ctx, tx, t, t.of("_refill"))
		if err != nil {
			return err
		}
		if err := execAll(ctx, tx, "LOCK TABLE ONLY "+t.of("")+" IN ACCESS EXCLUSIVE MODE"); err != nil {
			return err
		}
		// Another run may have ended, and yet another begun: its tree does not have
		// all that this one has copied.
		if is, err := k.tree(ctx, tx, t); err != nil {
			return err
		} else if is != tree {
			return errOther
		}
		return execAll(ctx, tx, swapOf(t, months)...)
	})
}

func swapOf(t table, months []time.Time) []string {
	statements := []string{
		"ALTER TABLE " + t.of("") + " DETACH PARTITION " + t.of("_default"),
		"DROP TABLE " + t.of("_default"),
		"DROP FUNCTION " + t.of("_mirror"),
	}
	for _, month := range months {
		from, to := bounds(month)
		name := t.of(suffix(month))
		statements = append(statements,
			"ALTER TABLE "+t.of("_refill")+" DETACH PARTITION "+name,
			fmt.Sprintf("ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%s) TO (%s)", t.of(""), name, from, to),
			"ALTER TABLE "+name+" DROP CONSTRAINT of_month")
	}
	statements = append(statements, "ALTER TABLE "+t.of("_refill")+" DETACH PARTITION "+t.of("_refill_default"))
	for n := range t.parts {
		part := fmt.Sprintf("_%d", n)
		statements = append(statements, "ALTER TABLE "+t.of("_refill_default"+part)+" RENAME TO "+t.own("_default"+part))
	}
	return append(statements,
		"ALTER TABLE "+t.of("_refill_default")+" RENAME TO "+t.own("_default"),
		"ALTER TABLE "+t.of("")+" ATTACH PARTITION "+t.of("_default")+" DEFAULT",
		"DROP TABLE "+t.of("_refill"))
}

const partitionsOf = `
SELECT c.relname
FROM pg_inherits AS i
JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = $1::regclass
ORDER BY c.relname`

// partitions returns the months that a table has partitions of.
func (k *keeper) partitions(ctx context.Context, q querier, t table, of string) (months []time.Time, err error) {
	rows, err := q.Query(ctx, partitionsOf, of)
	if err != nil {
		return nil, err
	}
	var name string
	_, err = pgx.ForEachRow(rows, []any{&name}, func() error {
		if month, ok := t.monthOf(name); ok {
			months = append(months, month)
		}
		return nil
	})
	return months, err
}

// monthOf reads the month in a partition's name.
func (t table) monthOf(partition string) (month time.Time, ok bool) {
	match := regexp.MustCompile("^" + regexp.QuoteMeta(t.name) + `_(\d{4}_\d{2})(?:_kept\d+)?$`).FindStringSubmatch(partition)
	if match == nil {
		return month, false
	}
	month, err := time.Parse("2006_01", match[1])
	return month, err == nil
}
