package invariants

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/shared/event"
)

// extent is how much of a partition there is, and how much of it is consumed.
type extent struct {
	start     int64 // of the first record that is kept
	committed int64 // of the first record that the group has to take
	end       int64 // after the last record, those of open transactions left out
}

// extents returns those of a topic's partitions; without a group nothing of it
// is consumed. Committed offsets are read before the ends.
func extents(ctx context.Context, admin *kadm.Client, topic, group string) (map[int32]extent, error) {
	fetched, err := committedOffsets(ctx, admin, group)
	if err != nil {
		return nil, fmt.Errorf("reading the offsets of group %s: %w", group, err)
	}
	starts, err := admin.ListStartOffsets(ctx, topic)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("reading the first offsets of %s: %w", topic, err)
	}
	ends, err := admin.ListCommittedOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("reading the last offsets of %s: %w", topic, err)
	}
	all := map[int32]extent{}
	ends.Each(func(end kadm.ListedOffset) {
		x := extent{end: end.Offset}
		if start, ok := starts.Lookup(topic, end.Partition); ok {
			x.start, x.committed = start.Offset, start.Offset
		}
		if committed, ok := fetched.Lookup(topic, end.Partition); ok && committed.At >= 0 {
			x.committed = committed.At
		}
		all[end.Partition] = x
	})
	return all, nil
}

func committedOffsets(ctx context.Context, admin *kadm.Client, group string) (kadm.OffsetResponses, error) {
	if group == "" {
		return kadm.OffsetResponses{}, nil
	}
	fetched, err := admin.FetchOffsets(ctx, group)
	if err == nil {
		err = fetched.Error()
	}
	return fetched, err
}

// pageRecords is how many records are in memory at a time.
const pageRecords = 2000

// walk calls do with the records of a topic from the first to the second
// offset of each partition, a page at a time.
func walk(ctx context.Context, brokers []string, topic string, from, to map[int32]int64, do func(context.Context, []*kgo.Record) error) error {
	open := map[int32]kgo.Offset{}
	for partition, offset := range from {
		if offset < to[partition] {
			open[partition] = kgo.NewOffset().At(offset)
		}
	}
	if len(open) == 0 {
		return nil
	}
	reader, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // else a marker at the end would be waited for in vain
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: open}))
	if err != nil {
		return err
	}
	defer reader.Close()
	for len(open) > 0 {
		fetches := reader.PollRecords(ctx, pageRecords)
		if err := errors.Join(fetches.Err(), fetches.Err0()); err != nil {
			return fmt.Errorf("reading %s: %w", topic, err)
		}
		var page []*kgo.Record
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset < to[r.Partition] && !r.Attrs.IsControl() {
				page = append(page, r)
			}
			if r.Offset >= to[r.Partition]-1 {
				delete(open, r.Partition)
				reader.PauseFetchPartitions(map[string][]int32{topic: {r.Partition}})
			}
		})
		if err := do(ctx, page); err != nil {
			return err
		}
	}
	return nil
}

// waiting counts the records of a topic that are still to be taken. What lies
// beyond a committed offset need not be a record: transactions leave markers,
// and aborted ones records that nobody gets.
func waiting(ctx context.Context, brokers []string, topic string, all map[int32]extent) (map[int32]int, error) {
	from, to := map[int32]int64{}, map[int32]int64{}
	for partition, x := range all {
		from[partition], to[partition] = max(x.start, x.committed), x.end
	}
	count := map[int32]int{}
	return count, walk(ctx, brokers, topic, from, to, func(_ context.Context, page []*kgo.Record) error {
		for _, r := range page {
			count[r.Partition]++
		}
		return nil
	})
}

// readRecord reads the event of a record by the CloudEvents Kafka binding, not
// by the trigger's code.
func readRecord(r *kgo.Record) *event.Event {
	if r.Value == nil {
		return nil
	}
	attributes, contentType := map[string]string{}, ""
	for _, h := range r.Headers {
		key := strings.ToLower(h.Key)
		if name, ok := strings.CutPrefix(key, "ce_"); ok {
			attributes[name] = string(h.Value)
		} else if key == "content-type" {
			contentType = string(h.Value)
		}
	}
	media, _, _ := strings.Cut(contentType, ";")
	if strings.EqualFold(strings.TrimSpace(media), "application/cloudevents+json") {
		e := event.ParseStructured(r.Value).Event
		if e != nil && bytes.Equal(e.Data, []byte("null")) {
			e.Data, e.IsJSON = nil, false // a null member is an absent one
		}
		return e
	}
	if contentType == "" {
		contentType = attributes["datacontenttype"]
	}
	delete(attributes, "datacontenttype")
	return event.ParseBinary(attributes, contentType, r.Value).Event
}
