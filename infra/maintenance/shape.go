package maintenance

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// sameShape tells whether the columns, checks and indexes of two tables are the same.
const sameShape = `
WITH lines AS (
    SELECT attrelid AS of, concat_ws(' ', attname, format_type(atttypid, atttypmod), attcollation, attnotnull, attgenerated, pg_get_expr(adbin, adrelid)) AS line
    FROM pg_attribute
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT conrelid, conname || ' ' || pg_get_constraintdef(oid)
    FROM pg_constraint
    WHERE contype = 'c'
    UNION ALL
    SELECT indrelid, indisunique || regexp_replace(pg_get_indexdef(indexrelid), '^.* USING ', ' ')
    FROM pg_index
)
SELECT (SELECT array_agg(line ORDER BY line) FROM lines WHERE of = $1::regclass)
     = (SELECT array_agg(line ORDER BY line) FROM lines WHERE of = $2::regclass)`

// clearOther drops a second tree that was made before the table was changed, by
// a run that did not end: what it has copied does not fit. It returns what tree
// there is afterwards, or 0.
func (k *keeper) clearOther(ctx context.Context, tx pgx.Tx, t table) (tree uint32, err error) {
	if tree, err = k.tree(ctx, tx, t); err != nil || tree == 0 {
		return tree, err
	}
	var same bool
	if err := tx.QueryRow(ctx, sameShape, t.of(""), t.of("_refill")).Scan(&same); err != nil || same {
		return tree, err
	}
	return 0, execAll(ctx, tx,
		// First what the functions lock first.
		"DROP TRIGGER IF EXISTS zz_mirror ON "+t.of("_default"),
		"DROP FUNCTION IF EXISTS "+t.of("_mirror"),
		"DROP TABLE "+t.of("_refill"))
}
