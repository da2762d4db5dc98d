package invariants

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/infra/records"
	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/shared/event"
)

// maxOnTheWay bounds the emitted events of a system at work that their targets
// do not have yet.
const maxOnTheWay = 200_000

// emissions are the events that folding emits, on their way to being found at
// their targets.
type emissions struct {
	*check
	pages map[string][]*event.Event // by target
	// onTheWay are those that the targets had not when they were looked for.
	onTheWay map[string]map[emittedID]*event.Event
	count    int
}

type emittedID struct{ tenant, source, id string }

func idOf(e *event.Event) emittedID { return emittedID{e.TenantID, e.Source, e.ID} }

func newEmissions(c *check) *emissions {
	return &emissions{check: c, pages: map[string][]*event.Event{}, onTheWay: map[string]map[emittedID]*event.Event{}}
}

func (m *emissions) add(ctx context.Context, events []*event.Event) error {
	for _, e := range events {
		m.report.Checked.Emitted++
		target := e.Function()
		m.pages[target] = append(m.pages[target], e)
		if len(m.pages[target]) == pageRecords {
			if err := m.look(ctx, target, m.pages[target]); err != nil {
				return err
			}
			m.pages[target] = nil
		}
	}
	return nil
}

// look looks for events at their target. At rest each has to have been decided.
func (m *emissions) look(ctx context.Context, target string, events []*event.Event) error {
	fates, err := Fates(ctx, m.deps.Pool, target, events)
	if err != nil {
		return err
	}
	for n, e := range events {
		switch {
		case fates[n] == Dead || fates[n] == Contested:
			m.brokenf("I7", "emitted events that their target could not decide", "%s", name(e))
		case fates[n] == Parked && !m.deps.Live:
			m.brokenf("I7", "emitted events that are parked at rest", "%s", name(e))
		case fates[n] == Nowhere || fates[n] == Conflict:
			if m.count++; m.count > maxOnTheWay {
				return fmt.Errorf("over %d emitted events are on their way: let it settle first", maxOnTheWay)
			}
			if m.onTheWay[target] == nil {
				m.onTheWay[target] = map[emittedID]*event.Event{}
			}
			m.onTheWay[target][idOf(e)] = e
		}
	}
	return nil
}

// finish follows the way of those that were nowhere: the outbox, then Kafka,
// then once more the target. What is found in none of these is lost.
func (m *emissions) finish(ctx context.Context) error {
	for target, page := range m.pages {
		if err := m.look(ctx, target, page); err != nil {
			return err
		}
	}
	for target, missing := range m.onTheWay {
		if m.deps.Live {
			if err := m.forgetOnTheWay(ctx, target, missing); err != nil {
				return err
			}
		}
		if err := m.reportLost(ctx, target, missing); err != nil {
			return err
		}
	}
	return nil
}

const readEmitted = `
SELECT e->>'tenantid', e->>'source', e->>'id'
FROM millrace.outbox AS o
CROSS JOIN LATERAL json_array_elements(o.emitted) AS e
WHERE e->>'type' LIKE $1 || '.%'`

func (m *emissions) forgetOnTheWay(ctx context.Context, target string, missing map[emittedID]*event.Event) error {
	rows, err := m.deps.Pool.Query(ctx, readEmitted, target)
	if err != nil {
		return err
	}
	var id emittedID
	if _, err := pgx.ForEachRow(rows, []any{&id.tenant, &id.source, &id.id}, func() error {
		delete(missing, id)
		return nil
	}); err != nil {
		return err
	}
	topic := topics.Events(target)
	all, err := records.Extents(ctx, m.admin, topic, m.deps.ConsumerGroups[topic])
	if err != nil {
		return err
	}
	from, to := map[int32]int64{}, map[int32]int64{}
	for partition, x := range all {
		from[partition], to[partition] = max(x.Start, x.Committed), x.End
	}
	return records.Walk(ctx, m.deps.cluster(), topic, from, to, func(_ context.Context, page []*kgo.Record) error {
		for _, r := range page {
			if e := records.Read(r).Event; e != nil {
				delete(missing, idOf(e))
			}
		}
		return nil
	})
}

func (m *emissions) reportLost(ctx context.Context, target string, missing map[emittedID]*event.Event) error {
	var rest []*event.Event
	for _, e := range missing {
		rest = append(rest, e)
	}
	for from := 0; from < len(rest); from += pageRecords {
		page := rest[from:min(from+pageRecords, len(rest))]
		lost, err := m.without(ctx, target, page)
		if err != nil {
			return err
		}
		for _, n := range lost {
			m.brokenf("I7", "emitted events that have not arrived", "%s", name(page[n]))
		}
	}
	return nil
}
