package runtime

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
)

// All functions share one database, and what a decision emits is in Kafka only
// after its commit. So whoever reads an emitted event finds the decision that
// emitted it, unless the database has lost it, in a failover or by a restore.
// Then the decisions that come instead give the numbers of what was lost to other
// events, and the lost ones must not be taken for these.

// The month is that of the cause, which the emitted event has too: so each looks
// into one index. Of the partitions only those from the first to the last month are
// opened: to open all, and choose then, would take longer than to read.
const readDecisions = `
SELECT batch.n, a.version, a.source, a.id, a.decided_at
FROM unnest($1::int[], $2::date[], $3::text[], $4::text[], $5::text[], $6::bigint[])
  AS batch (n, month, tenant_id, function, subject, version)
CROSS JOIN LATERAL (
    SELECT *
    FROM millrace.audit AS a
    WHERE a.month = batch.month AND a.month BETWEEN $7::date AND $8::date
      AND a.tenant_id = batch.tenant_id AND a.function = batch.function AND a.subject = batch.subject AND a.version = batch.version
    LIMIT 1
) AS a`

// sign has events say by which decision they are emitted.
func (t *transaction) sign(emitted []*event.Event, cause *event.Event, version int64) {
	if len(emitted) == 0 {
		return
	}
	mark := markOf(version, cause.Source, cause.ID, t.now)
	for _, e := range emitted {
		e.Extensions = map[string]string{event.DecisionExtension: mark}
	}
}

// markOf names a decision of an entity. The time tells two apart that take one
// version for one cause: the lost one may have followed others, and have emitted
// something else.
func markOf(version int64, source, id string, decidedAt time.Time) string {
	hash := sha256.New()
	fmt.Fprintf(hash, "%d:%s%d:%s%d", len(source), source, len(id), id, decidedAt.UnixMicro())
	return strconv.FormatInt(version, 10) + "-" + hex.EncodeToString(hash.Sum(nil)[:8])
}

// NotEmitted returns those of the events that say they were emitted by a decision
// which the database does not have.
func NotEmitted(ctx context.Context, pool *pgxpool.Pool, events []*event.Event) (map[*event.Event]bool, error) {
	b := &pgx.Batch{}
	missing := queueReadDecisions(b, events)
	if b.Len() == 0 {
		return missing, nil
	}
	if err := pool.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("reading the decisions that emitted events: %w", err)
	}
	return missing, nil
}

// decidable returns the events of the batch that nothing is wrong with so far.
func (t *transaction) decidable() []*event.Event {
	var events []*event.Event
	for _, c := range t.batch {
		if c.invalid == nil {
			events = append(events, c.event)
		}
	}
	return events
}

// queueReadDecisions queues the reading of the decisions by which events say they
// were emitted. Once they are read, those events are missing whose decision is not
// there. What an older revision emitted says nothing, and is taken at its word.
func queueReadDecisions(b *pgx.Batch, events []*event.Event) (missing map[*event.Event]bool) {
	missing = map[*event.Event]bool{}
	var ns []int32
	var months []time.Time
	var tenants, functions, subjects []string
	var versions []int64
	for n, e := range events {
		mark := e.Extensions[event.DecisionExtension]
		if mark == "" || !e.Emitted() {
			continue
		}
		missing[e] = true
		name, subject, is := function.Emitter(e.Source)
		number, _, _ := strings.Cut(mark, "-")
		version, err := strconv.ParseInt(number, 10, 64)
		if !is || err != nil {
			continue
		}
		ns, months, versions = append(ns, int32(n)), append(months, e.Month()), append(versions, version)
		tenants, functions, subjects = append(tenants, e.TenantID), append(functions, name), append(subjects, subject)
	}
	if len(ns) == 0 {
		return missing
	}
	first, last := slices.MinFunc(months, time.Time.Compare), slices.MaxFunc(months, time.Time.Compare)
	b.Queue(readDecisions, ns, months, tenants, functions, subjects, versions, first, last).Query(func(rows pgx.Rows) error {
		var n int
		var version int64
		var source, id string
		var decidedAt time.Time
		_, err := pgx.ForEachRow(rows, []any{&n, &version, &source, &id, &decidedAt}, func() error {
			if e := events[n]; e.Extensions[event.DecisionExtension] == markOf(version, source, id, decidedAt) {
				delete(missing, e)
			}
			return nil
		})
		return err
	})
	return missing
}
