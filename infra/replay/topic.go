package replay

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/infra/records"
	"github.com/millrace/millrace/infra/topics"
)

// topic is the source of the records of a function's topic.
type topic struct {
	Kafka

	function string
	from, to map[int32]int64
}

// total finds out the part that is replayed: what there is, is consumed, and is
// asked for.
func (t *topic) total(ctx context.Context) (n int64, err error) {
	client, err := t.Open()
	if err != nil {
		return 0, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	name := topics.Events(t.function)
	extents, err := records.Extents(ctx, admin, name, t.Group(t.function))
	if err != nil {
		return 0, err
	}
	for partition := range t.Offsets {
		if _, is := extents[partition]; !is {
			return 0, fmt.Errorf("%s has no partition %d", name, partition)
		}
	}
	since, until, err := t.times(ctx, admin, name)
	if err != nil {
		return 0, err
	}
	t.from, t.to = map[int32]int64{}, map[int32]int64{}
	for partition, x := range extents {
		asked, is := t.Offsets[partition]
		if t.Offsets != nil && !is {
			continue
		}
		from, to := max(x.Start, asked.From), min(x.Committed, x.End)
		if is && asked.To >= 0 {
			to = min(to, asked.To)
		}
		if at, limited := since.Lookup(name, partition); limited {
			from = max(from, at.Offset)
		}
		if at, limited := until.Lookup(name, partition); limited {
			to = min(to, at.Offset)
		}
		t.from[partition], t.to[partition] = from, max(from, to)
		n += t.to[partition] - from
	}
	return n, nil
}

// times finds the offsets of the first records at or after the times.
func (t *topic) times(ctx context.Context, admin *kadm.Client, name string) (since, until kadm.ListedOffsets, err error) {
	if !t.Since.IsZero() {
		if since, err = admin.ListOffsetsAfterMilli(ctx, t.Since.UnixMilli(), name); err == nil {
			err = since.Error()
		}
	}
	if err == nil && !t.Until.IsZero() {
		if until, err = admin.ListOffsetsAfterMilli(ctx, t.Until.UnixMilli(), name); err == nil {
			err = until.Error()
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("finding the offsets of times in %s: %w", name, err)
	}
	return since, until, nil
}

func (t *topic) pages(ctx context.Context, rest *Rest, do func(context.Context, []delivery) error) error {
	rest.Offsets = map[int32]Range{}
	for partition := range t.from {
		rest.Offsets[partition] = Range{t.from[partition], t.to[partition]}
	}
	return records.Walk(ctx, t.Cluster, topics.Events(t.function), t.from, t.to, func(ctx context.Context, page []*kgo.Record) error {
		events := make([]delivery, len(page))
		for n, r := range page {
			events[n].Received = records.Read(r)
		}
		if err := do(ctx, events); err != nil {
			return err
		}
		for _, r := range page {
			rest.Offsets[r.Partition] = Range{r.Offset + 1, t.to[r.Partition]}
		}
		return nil
	})
}
