package invariants

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
)

const readStreams = `
SELECT batch.n, coalesce(s.position, 0), coalesce(s.parked, 0)
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[]) AS batch (n, tenant_id, function, subject, source)
LEFT JOIN millrace.streams AS s
  ON s.tenant_id = batch.tenant_id AND s.function = batch.function AND s.subject = batch.subject AND s.source = batch.source`

// stream is what an entity has emitted to a target.
type stream struct {
	tenant, function, subject, source string
	last                              int64
}

// checkEmittedStreams is the end of I7: each target has decided the stream of
// each emitter up to its last event, and has no stream that nobody emitted.
func (c *check) checkEmittedStreams(ctx context.Context) error {
	total := 0
	for _, fn := range c.deps.Functions {
		err := c.pages(ctx, fn, Scope{}, func(ctx context.Context, tx pgx.Tx, heads []function.Head) error {
			var page []stream
			for _, h := range heads {
				streams, err := emittedBy(fn.FunctionName(), h)
				if err != nil {
					return err
				}
				page = append(page, streams...)
			}
			n, err := c.compareStreams(ctx, tx, page)
			total += n
			return err
		})
		if err != nil {
			return err
		}
	}
	if c.deps.Live {
		return nil
	}
	var known int
	err := c.deps.Pool.QueryRow(ctx, `SELECT count(*) FROM millrace.streams WHERE starts_with(source, $1) AND position > 0`,
		event.ReservedSource).Scan(&known)
	if err == nil && known != total {
		c.brokenf("I7", "emitted streams that no entity has emitted", "%d streams are known, %d were emitted", known, total)
	}
	return err
}

// emittedBy reads the counters of an entity.
func emittedBy(name string, h function.Head) ([]stream, error) {
	var all []stream
	for key, last := range h.Counters {
		target, escaped, _ := strings.Cut(key, "/")
		subject, err := url.PathUnescape(escaped)
		if err != nil {
			return nil, fmt.Errorf("counter %q of entity %s: %w", key, h.Subject, err)
		}
		all = append(all, stream{h.TenantID, target, subject, function.EmitterSource(name, h.Subject), last})
	}
	return all, nil
}

// compareStreams returns how many of the streams their targets know.
func (c *check) compareStreams(ctx context.Context, tx pgx.Tx, page []stream) (known int, err error) {
	ns := make([]int32, len(page))
	for n := range page {
		ns[n] = int32(n)
	}
	rows, err := tx.Query(ctx, readStreams, ns,
		function.Column(page, func(s stream) string { return s.tenant }),
		function.Column(page, func(s stream) string { return s.function }),
		function.Column(page, func(s stream) string { return s.subject }),
		function.Column(page, func(s stream) string { return s.source }))
	if err != nil {
		return 0, err
	}
	var n, waiting int
	var position int64
	_, err = pgx.ForEachRow(rows, []any{&n, &position, &waiting}, func() error {
		s := page[n]
		if position > 0 {
			known++
		}
		if position > s.last || !c.deps.Live && (position < s.last || waiting > 0) {
			c.brokenf("I7", "emitted streams that are not decided to their end", "%s of %s %s/%s: decided to %d, emitted to %d, %d parked",
				s.source, s.function, s.tenant, s.subject, position, s.last, waiting)
		}
		return nil
	})
	return known, err
}
