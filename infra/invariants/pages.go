package invariants

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millrace/millrace/shared/function"
)

const (
	pageEntities = 200    // entities that are in memory at a time,
	pageEvents   = 20_000 // as long as they have no more events than this together
)

// pages calls do with the heads of a function's entities, page by page, each in
// a snapshot of its own.
func (c *check) pages(ctx context.Context, fn function.Definition, s Scope, do func(context.Context, pgx.Tx, []function.Head) error) error {
	w, err := c.walker(ctx, fn, s)
	if err != nil {
		return err
	}
	for {
		n := 0
		err := snapshot(ctx, c.deps.Pool, func(tx pgx.Tx) error {
			heads, err := w.next(ctx, tx)
			if n = len(heads); err != nil || n == 0 {
				return err
			}
			return do(ctx, tx, heads)
		})
		if err != nil || n == 0 {
			return err
		}
	}
}

// snapshot calls do in a transaction that only reads, and all the same.
func snapshot(ctx context.Context, pool *pgxpool.Pool, do func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, do)
}

func readHeads(ctx context.Context, tx pgx.Tx, query string, args ...any) ([]function.Head, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (h function.Head, err error) {
		var counters []byte
		if err := row.Scan(&h.TenantID, &h.Subject, &h.Version, &counters); err != nil {
			return h, err
		}
		if err := json.Unmarshal(counters, &h.Counters); err != nil {
			return h, fmt.Errorf("counters of entity %s: %w", h.Subject, err)
		}
		return h, nil
	})
}

// bounded returns as many of the heads as have pageEvents events together, but
// one at least.
func bounded(heads []function.Head) []function.Head {
	events := int64(0)
	for n := range heads {
		if events += heads[n].Version; n > 0 && events > pageEvents {
			return heads[:n]
		}
	}
	return heads
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
