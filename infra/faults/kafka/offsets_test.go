package kafka_test

import (
	"context"
	"testing"

	"github.com/millrace/millrace/infra/stack/kafkacluster"
	"github.com/millrace/millrace/infra/stack/stacktest"
)

// committed are the offsets that the group has committed, by partition.
func (w *world) committed(ctx context.Context) (map[int32]int64, error) {
	fetched, err := w.admin.FetchOffsets(ctx, group)
	if err == nil {
		err = fetched.Error()
	}
	all := map[int32]int64{}
	for partition, o := range fetched[events] {
		all[partition] = o.At
	}
	return all, err
}

// mustCommitted is committed.
func (w *world) mustCommitted(t *testing.T) map[int32]int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	all, err := w.committed(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// lag is how many offsets of trades are not committed; -1 if nobody says.
func (w *world) lag(ctx context.Context) int64 {
	committed, err := w.committed(ctx)
	if err != nil {
		return -1
	}
	ends, err := w.admin.ListCommittedOffsets(ctx, events)
	if err != nil || ends.Error() != nil {
		return -1
	}
	starts, err := w.admin.ListStartOffsets(ctx, events)
	if err != nil || starts.Error() != nil {
		return -1
	}
	lag := int64(0)
	for partition, end := range ends[events] {
		lag += end.Offset - max(starts[events][partition].Offset, committed[partition])
	}
	return lag
}

// taken waits until all trades are taken and their offsets are committed.
func (w *world) taken(t *testing.T) {
	t.Helper()
	stacktest.Eventually(t, patience, "all offsets to be committed", func(ctx context.Context) bool { return w.lag(ctx) == 0 })
}

// members is how many members the group has; -1 if it is being rebalanced.
func (w *world) members(ctx context.Context) int {
	groups, err := w.admin.DescribeGroups(ctx, group)
	if err != nil || groups[group].State != "Stable" {
		return -1
	}
	return len(groups[group].Members)
}

// leader is the broker that leads a partition.
func (w *world) leader(t *testing.T, topic string, partition int32) *kafkacluster.Broker {
	t.Helper()
	var leader int32
	stacktest.Eventually(t, patience, "a leader", func(ctx context.Context) bool {
		m, err := w.admin.Metadata(ctx, topic)
		leader = m.Topics[topic].Partitions[partition].Leader
		return err == nil && leader > 0
	})
	return w.cluster.Broker(leader)
}

// gone waits until the others have taken over all that a broker led.
func (w *world) gone(t *testing.T, b *kafkacluster.Broker) {
	t.Helper()
	stacktest.Eventually(t, patience, "the partitions of a broker to be taken over", func(ctx context.Context) bool {
		m, err := w.admin.Metadata(ctx)
		if err != nil || len(m.Topics) == 0 {
			return false
		}
		for _, topic := range m.Topics {
			for _, p := range topic.Partitions {
				if p.Leader == b.ID || p.Leader < 0 {
					return false
				}
			}
		}
		return true
	})
}

// spread gives each partition back to the broker that should lead it.
func (w *world) spread(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := w.admin.ElectLeaders(ctx, 0, nil); err != nil {
		t.Fatal(err)
	}
}

// decided counts what of the test's own tenant was decided.
func (w *world) decided(ctx context.Context, t *testing.T) int {
	t.Helper()
	return w.count(ctx, t, `SELECT count(*) FROM millrace.audit WHERE function = 'trade' AND tenant_id = $1`, tenant(t))
}

// count runs a query of one number.
func (w *world) count(ctx context.Context, t *testing.T, sql string, args ...any) int {
	t.Helper()
	var n int
	if err := w.pool.QueryRow(ctx, sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}
