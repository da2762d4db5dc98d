package invariants

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/function"
)

const (
	pageEntities = 200    // entities that are in memory at a time,
	pageEvents   = 20_000 // as long as they have no more events than this together
)

const nextEntities = `
SELECT tenant_id, subject, version, counters
FROM millrace.entities
WHERE (tenant_id, function, subject) > ($2, $1, $3) AND function = $1 AND version > 0
ORDER BY tenant_id, function, subject
LIMIT $4`

// pages calls do with the heads of a function's entities, page by page, each in
// a snapshot of its own.
func (c *check) pages(ctx context.Context, fn function.Definition, do func(context.Context, pgx.Tx, []function.Head) error) error {
	last := function.Head{}
	for {
		n := 0
		err := pgx.BeginTxFunc(ctx, c.deps.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
			heads, err := readHeads(ctx, tx, fn, last)
			if n = len(heads); err != nil || n == 0 {
				return err
			}
			last = heads[n-1]
			return do(ctx, tx, heads)
		})
		if err != nil || n == 0 {
			return err
		}
	}
}

func readHeads(ctx context.Context, tx pgx.Tx, fn function.Definition, after function.Head) ([]function.Head, error) {
	rows, err := tx.Query(ctx, nextEntities, fn.FunctionName(), after.TenantID, after.Subject, pageEntities)
	if err != nil {
		return nil, err
	}
	heads, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (h function.Head, err error) {
		var counters []byte
		if err := row.Scan(&h.TenantID, &h.Subject, &h.Version, &counters); err != nil {
			return h, err
		}
		if err := json.Unmarshal(counters, &h.Counters); err != nil {
			return h, fmt.Errorf("counters of entity %s: %w", h.Subject, err)
		}
		return h, nil
	})
	events := int64(0)
	for n := range heads {
		if events += heads[n].Version; n > 0 && events > pageEvents {
			return heads[:n], err
		}
	}
	return heads, err
}

// instances makes an entity for each head, and an index of them.
func instances(fn function.Definition, heads []function.Head) (list []function.Instance, of map[[2]string]function.Instance) {
	of = make(map[[2]string]function.Instance, len(heads))
	for _, h := range heads {
		i := fn.NewEntity(h)
		list = append(list, i)
		of[[2]string{h.TenantID, h.Subject}] = i
	}
	return list, of
}

// send runs a batch that only reads.
func send(ctx context.Context, tx pgx.Tx, queue func(*pgx.Batch)) error {
	b := &pgx.Batch{}
	queue(b)
	if b.Len() == 0 {
		return nil
	}
	return tx.SendBatch(ctx, b).Close()
}
