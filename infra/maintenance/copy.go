package maintenance

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// copyAll copies what the default partition had when the trigger was made, and
// maybe more. A crash after any of its transactions leaves copies that the next
// run finds again.
func (k *keeper) copyAll(ctx context.Context, t table) error {
	all, _, err := columns(ctx, k.conn, t)
	if err != nil {
		return err
	}
	list := strings.Join(all, ", ")
	leaves, err := k.leaves(ctx, t.of("_default"))
	if err != nil {
		return err
	}
	for _, leaf := range leaves {
		// The lock keeps a row from being deleted between the reading and the copy;
		// an update passes it, and is repeated by the trigger.
		statement := fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s WHERE ctid >= $1::text::tid AND ctid < $2::text::tid FOR KEY SHARE ON CONFLICT DO NOTHING",
			t.of("_refill"), list, list, leaf.name)
		if err := k.walk(ctx, 0, leaf.pages, statement, nil); err != nil {
			return err
		}
	}
	return nil
}

// leaf is a table that has rows.
type leaf struct {
	name  string
	pages int64
}

const leavesOf = `
SELECT relid::regclass::text, coalesce(pg_relation_size(relid), 0) / current_setting('block_size')::bigint
FROM pg_partition_tree($1)
WHERE isleaf
ORDER BY relid::regclass::text`

func (k *keeper) leaves(ctx context.Context, of string) ([]leaf, error) {
	rows, err := k.conn.Query(ctx, leavesOf, of)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (l leaf, err error) {
		return l, row.Scan(&l.name, &l.pages)
	})
}

// walk runs a statement on a range of pages, so many a transaction. $1 and $2
// are the bounds; count hears how many rows each one changed.
func (k *keeper) walk(ctx context.Context, from, to int64, statement string, count func(int64), args ...any) error {
	for ; from < to; from += k.Pages {
		bounds := []any{fmt.Sprintf("(%d,0)", from), fmt.Sprintf("(%d,0)", min(from+k.Pages, to))}
		var n int64
		err := k.giveWay(ctx, brief, func(tx pgx.Tx) error {
			tag, err := tx.Exec(ctx, statement, append(bounds, args...)...)
			n = tag.RowsAffected()
			return err
		})
		if err != nil {
			return err
		}
		if count != nil {
			count(n)
		}
	}
	return nil
}
