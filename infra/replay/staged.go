package replay

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millrace/millrace/shared/event"
)

// staged is a topic in the order in which the live system decided: partitions have
// no order among each other, so two sources about one entity would come in another
// one, and be decided otherwise, rightly so. It lies in the shadow meanwhile.
// What the live system does not know comes last.
//
// The live system remembers of an identity its last decision. What was redriven
// has several: they are read from the audit log, see reorder.
type staged struct {
	*topic
	*replay
}

const (
	makeStage = `
DROP TABLE IF EXISTS public.replay;
DROP TABLE IF EXISTS public.decisions;
CREATE UNLOGGED TABLE public.replay (tenant_id text, subject text, source text, id text, letter text, version bigint,
    redriven boolean NOT NULL DEFAULT false, n bigint GENERATED ALWAYS AS IDENTITY, event bytea);
CREATE UNLOGGED TABLE public.decisions (tenant_id text, source text, id text, letter text, version bigint)`

	indexStage = `CREATE INDEX ON public.replay (tenant_id, subject, version, n)`

	readOrder = `
SELECT batch.n, s.version
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[]) AS batch (n, tenant_id, source, id)
JOIN millrace.seen AS s ON s.tenant_id = batch.tenant_id AND s.source = batch.source AND s.id = batch.id`

	// All decisions of identities that were redriven.
	readDecisions = `
SELECT DISTINCT a.tenant_id, a.source, a.id, coalesce(a.attributes->>'` + event.DeadLetterExtension + `', ''), a.version
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS batch (tenant_id, subject, source, id)
JOIN millrace.audit AS a
  ON a.tenant_id = batch.tenant_id AND a.function = $1 AND a.subject = batch.subject AND a.source = batch.source AND a.id = batch.id`

	// What the producer sent belongs to the first decision, and the n-th record of a
	// redrive to the n-th decision of that dead letter. More of them are repeats. The
	// first decision is an ordinary one even if a redrive led to it.
	reorder = `
UPDATE public.replay AS r
SET version = d.version, redriven = d.version > d.first
FROM (
    SELECT n, tenant_id, source, id, letter, row_number() OVER (PARTITION BY tenant_id, source, id, letter ORDER BY n) AS nth
    FROM public.replay
    WHERE (tenant_id, source, id) IN (SELECT tenant_id, source, id FROM public.decisions)
) AS x
JOIN (
    SELECT *, row_number() OVER (PARTITION BY tenant_id, source, id, letter ORDER BY version) AS nth,
           min(version) OVER (PARTITION BY tenant_id, source, id) AS first
    FROM (SELECT DISTINCT * FROM public.decisions) AS once
) AS d USING (tenant_id, source, id)
WHERE r.n = x.n
  AND CASE WHEN x.letter = '' THEN d.version = d.first ELSE d.letter = x.letter AND d.nth = x.nth END`

	nextStaged = `
SELECT tenant_id, subject, version, n, event, redriven
FROM public.replay
WHERE (tenant_id, subject, version, n) > ($1, $2, $3, $4)
ORDER BY tenant_id, subject, version, n
LIMIT $5`

	// unknown is the version of what the live system does not know.
	unknown = 1 << 53
)

func (s *staged) total(ctx context.Context) (int64, error) {
	n, err := s.topic.total(ctx)
	return 2 * n, err
}

func (s *staged) pages(ctx context.Context, rest *Rest, do func(context.Context, []delivery) error) error {
	if _, err := s.target.Exec(ctx, makeStage); err != nil {
		return err
	}
	if err := s.topic.pages(ctx, rest, s.put); err != nil {
		return err
	}
	for _, sql := range []string{reorder, indexStage} {
		if _, err := s.target.Exec(ctx, sql); err != nil {
			return err
		}
	}
	last := place{}
	for {
		page, next, err := nextPage(ctx, s.target, last)
		if err != nil || len(page) == 0 {
			return err
		}
		if err := do(ctx, page); err != nil {
			return err
		}
		last = next
	}
}

// put stages a page of records.
func (s *staged) put(ctx context.Context, page []delivery) error {
	var events []*event.Event
	for n := range page {
		if page[n].unreadable() {
			s.result.Unreadable++
			continue
		}
		events = append(events, page[n].Event)
	}
	versions, err := order(ctx, s.Pool, events)
	if err != nil {
		return err
	}
	_, err = s.target.CopyFrom(ctx, pgx.Identifier{"public", "replay"}, []string{"tenant_id", "subject", "source", "id", "letter", "version", "event"},
		pgx.CopyFromSlice(len(events), func(n int) ([]any, error) {
			e := events[n]
			return []any{e.TenantID, e.Subject, e.Source, e.ID, e.Extensions[event.DeadLetterExtension], versions[n], event.AppendJSON(nil, e)}, nil
		}))
	if err == nil {
		err = s.putDecisions(ctx, events)
	}
	s.done += int64(len(page))
	s.tell("reading "+s.function, s.done, s.replay.total)
	return err
}

// putDecisions stages what the live system decided of the redriven ones.
func (s *staged) putDecisions(ctx context.Context, events []*event.Event) error {
	var tenants, subjects, sources, ids []string
	for _, e := range events {
		if e.Extensions[event.DeadLetterExtension] != "" {
			tenants, subjects = append(tenants, e.TenantID), append(subjects, e.Subject)
			sources, ids = append(sources, e.Source), append(ids, e.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := s.Pool.Query(ctx, readDecisions, s.function, tenants, subjects, sources, ids)
	if err != nil {
		return err
	}
	defer rows.Close()
	_, err = s.target.CopyFrom(ctx, pgx.Identifier{"public", "decisions"}, []string{"tenant_id", "source", "id", "letter", "version"}, rows)
	return err
}

// order reads which version the live system's decision of each event has.
func order(ctx context.Context, live *pgxpool.Pool, events []*event.Event) ([]int64, error) {
	versions, ns := make([]int64, len(events)), make([]int32, len(events))
	var tenants, sources, ids []string
	for n, e := range events {
		versions[n], ns[n] = unknown, int32(n)
		tenants, sources, ids = append(tenants, e.TenantID), append(sources, e.Source), append(ids, e.ID)
	}
	rows, err := live.Query(ctx, readOrder, ns, tenants, sources, ids)
	if err != nil {
		return nil, err
	}
	var n int
	var version int64
	_, err = pgx.ForEachRow(rows, []any{&n, &version}, func() error {
		versions[n] = version
		return nil
	})
	return versions, err
}

// place is one in the order.
type place struct {
	tenant, subject string
	version, n      int64
}

func nextPage(ctx context.Context, pool *pgxpool.Pool, last place) (page []delivery, next place, err error) {
	rows, err := pool.Query(ctx, nextStaged, last.tenant, last.subject, last.version, last.n, chunk)
	if err != nil {
		return nil, last, err
	}
	page, err = collect(rows, func(row pgx.CollectableRow) (d delivery, err error) {
		var raw []byte
		err = row.Scan(&next.tenant, &next.subject, &next.version, &next.n, &raw, &d.redriven)
		d.Received, d.ordered = event.ParseStructured(raw), next.version != unknown
		return d, err
	})
	return page, next, err
}
