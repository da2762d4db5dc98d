package invariants

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/infra/records"
)

// pageRecords is how many records are in memory at a time.
const pageRecords = records.Page

// waiting counts the records of a topic that are still to be taken. What lies
// beyond a committed offset need not be a record: transactions leave markers,
// and aborted ones records that nobody gets.
func waiting(ctx context.Context, cluster records.Cluster, topic string, all map[int32]records.Extent) (map[int32]int, error) {
	from, to := map[int32]int64{}, map[int32]int64{}
	for partition, x := range all {
		from[partition], to[partition] = max(x.Start, x.Committed), x.End
	}
	count := map[int32]int{}
	return count, records.Walk(ctx, cluster, topic, from, to, func(_ context.Context, page []*kgo.Record) error {
		for _, r := range page {
			count[r.Partition]++
		}
		return nil
	})
}
