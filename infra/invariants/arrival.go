package invariants

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/infra/records"
	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/shared/event"
)

// checkArrival is I6 and I1. I6: each record below a committed offset has had
// an effect, wherever it went: its identity was decided with this content, or
// is parked, or is a dead letter in PostgreSQL or in Kafka. I1: each
// acknowledged send is such a record, or one that is still to be taken.
func (c *check) checkArrival(ctx context.Context) error {
	known := map[string]map[int32]records.Extent{}
	for _, fn := range c.deps.Functions {
		topic := topics.Events(fn.FunctionName())
		all, err := records.Extents(ctx, c.admin, topic, c.deps.ConsumerGroups[topic])
		if err != nil {
			return err
		}
		known[topic] = all
		if err := c.checkExtents(ctx, topic, all); err != nil {
			return err
		}
		if err := c.checkRecords(ctx, fn.FunctionName(), all); err != nil {
			return err
		}
	}
	return c.checkSent(ctx, known)
}

func (c *check) checkExtents(ctx context.Context, topic string, all map[int32]records.Extent) error {
	for partition, x := range all {
		switch {
		case x.Committed < x.Start:
			c.brokenf("I1", "records that Kafka dropped before they were taken", "%s/%d: %d to %d", topic, partition, x.Committed, x.Start)
		case x.Committed > x.End:
			c.brokenf("I6", "committed offsets past the end", "%s/%d: %d of %d", topic, partition, x.Committed, x.End)
		}
		c.report.Checked.Waiting += int(max(0, x.End-x.Committed))
	}
	if c.deps.Live {
		return nil
	}
	untaken, err := waiting(ctx, c.deps.cluster(), topic, all)
	for partition, n := range untaken {
		x := all[partition]
		c.brokenf("I1", "records that nobody has taken", "%s/%d: %d of those from %d to %d", topic, partition, n, x.Committed, x.End)
	}
	return err
}

func (c *check) checkRecords(ctx context.Context, function string, all map[int32]records.Extent) error {
	topic := topics.Events(function)
	from, to := map[int32]int64{}, map[int32]int64{}
	for partition, x := range all {
		from[partition], to[partition] = x.Start, min(x.Committed, x.End)
	}
	letters, err := c.unreadable(ctx, function)
	if err != nil {
		return err
	}
	return records.Walk(ctx, c.deps.cluster(), topic, from, to, func(ctx context.Context, page []*kgo.Record) error {
		c.report.Checked.Records += len(page)
		events := make([]*event.Event, len(page))
		for n, r := range page {
			events[n] = records.Read(r).Event
		}
		missing, err := c.without(ctx, function, events)
		if err != nil {
			return err
		}
		for _, n := range missing {
			if r := page[n]; !letters[place{r.Partition, r.Offset}] {
				c.brokenf("I6", "records below the committed offset without an effect", "%s/%d/%d %s", topic, r.Partition, r.Offset, describe(events[n], r))
			}
		}
		return nil
	})
}

func describe(e *event.Event, r *kgo.Record) string {
	if e == nil {
		return fmt.Sprintf("%.80q", r.Value)
	}
	return name(e)
}

// name names an event for people.
func name(e *event.Event) string {
	return fmt.Sprintf("tenant %s, source %s, id %s, %s about %s, sequence %d", e.TenantID, e.Source, e.ID, e.Type, e.Subject, e.Sequence)
}

// place is where a record lies in a topic.
type place struct {
	partition int32
	offset    int64
}

// unreadable returns the records of a function's topic that are dead letters
// without a readable identity: those that the function could make out, by the
// stamps that the trigger gave them, and those in the dead-letter topic.
func (c *check) unreadable(ctx context.Context, function string) (map[place]bool, error) {
	letters := map[place]bool{}
	rows, err := c.deps.Pool.Query(ctx, `SELECT event FROM millrace.dead_letters WHERE function = $1`, function)
	if err != nil {
		return nil, err
	}
	var raw []byte
	if _, err := pgx.ForEachRow(rows, []any{&raw}, func() error {
		if at, ok := stamped(raw); ok {
			letters[at] = true
		}
		return nil
	}); err != nil {
		return nil, err
	}
	topic := topics.DeadLetters(function)
	all, err := records.Extents(ctx, c.admin, topic, "")
	if err != nil {
		return nil, err
	}
	from, to := map[int32]int64{}, map[int32]int64{}
	for partition, x := range all {
		from[partition], to[partition] = x.Start, x.End
	}
	return letters, records.Walk(ctx, c.deps.cluster(), topic, from, to, func(_ context.Context, page []*kgo.Record) error {
		for _, r := range page {
			if at, ok := origin(r, topics.Events(function)); ok {
				letters[at] = true
			}
		}
		return nil
	})
}

// origin reads where the trigger says that a dead letter was, or the stamps that
// Knative's KafkaSource gave it.
func origin(r *kgo.Record, topic string) (at place, ok bool) {
	var partition, offset string
	for _, h := range r.Headers {
		switch h.Key {
		case "millrace-origin":
			rest, here := strings.CutPrefix(string(h.Value), topic+"/")
			partition, offset, _ = strings.Cut(rest, "/")
			at, ok = parsePlace(partition, offset)
			return at, ok && here
		case "ce_knativekafkapartition":
			partition = string(h.Value)
		case "ce_knativekafkaoffset":
			offset = string(h.Value)
		}
	}
	return parsePlace(partition, offset)
}

func parsePlace(partition, offset string) (place, bool) {
	p, errP := strconv.ParseInt(partition, 10, 32)
	o, errO := strconv.ParseInt(offset, 10, 64)
	return place{int32(p), o}, errP == nil && errO == nil
}
