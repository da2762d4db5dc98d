package records

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/shared/event"
)

// Extent is how much of a partition there is, and how much of it is consumed.
type Extent struct {
	Start     int64 // of the first record that is kept
	Committed int64 // of the first record that the group has to take
	End       int64 // after the last record, those of open transactions left out
}

// Extents returns those of a topic's partitions; without a group nothing of it
// is consumed. Committed offsets are read before the ends.
func Extents(ctx context.Context, admin *kadm.Client, topic, group string) (map[int32]Extent, error) {
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
	all := map[int32]Extent{}
	ends.Each(func(end kadm.ListedOffset) {
		x := Extent{End: end.Offset}
		if start, ok := starts.Lookup(topic, end.Partition); ok {
			x.Start, x.Committed = start.Offset, start.Offset
		}
		if committed, ok := fetched.Lookup(topic, end.Partition); ok && committed.At >= 0 {
			x.Committed = committed.At
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
	if errors.Is(err, kerr.GroupIDNotFound) { // so some brokers call one that never consumed
		return kadm.OffsetResponses{}, nil
	}
	return fetched, err
}

// Page is how many records are handed over at a time.
const Page = 2000

// fetchBytes bounds the records that are on their way from Kafka, in bytes.
const fetchBytes = 8 << 20

// Walk calls do with the records of a topic from the first to the second
// offset of each partition, a page at a time.
func Walk(ctx context.Context, cluster Cluster, topic string, from, to map[int32]int64, do func(context.Context, []*kgo.Record) error) error {
	open := map[int32]kgo.Offset{}
	for partition, offset := range from {
		if offset < to[partition] {
			open[partition] = kgo.NewOffset().At(offset)
		}
	}
	if len(open) == 0 {
		return nil
	}
	reader, err := cluster.Open(kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxBytes(fetchBytes), kgo.MaxConcurrentFetches(1),
		kgo.KeepControlRecords(), // else a marker at the end would be waited for in vain
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: open}))
	if err != nil {
		return err
	}
	defer reader.Close()
	for len(open) > 0 {
		fetches := reader.PollRecords(ctx, Page)
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

// Read reads the event of a record by the CloudEvents Kafka binding, not by the
// trigger's code.
func Read(r *kgo.Record) event.Received {
	if r.Value == nil {
		return event.Received{}
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
		received := event.ParseStructured(r.Value)
		if e := received.Event; e != nil && bytes.Equal(e.Data, []byte("null")) {
			e.Data, e.IsJSON = nil, false // a null member is an absent one
		}
		return received
	}
	if contentType == "" {
		contentType = attributes["datacontenttype"]
	}
	delete(attributes, "datacontenttype")
	return event.ParseBinary(attributes, contentType, r.Value)
}
