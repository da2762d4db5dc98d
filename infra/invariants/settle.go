package invariants

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/infra/records"
)

// Settle waits until all is at rest: every record is taken, and the outbox is
// empty, so that nothing is on its way. Parked events and dead letters rest too.
// Its error says what was still going on when ctx ended. It uses Pool, Brokers
// and ConsumerGroups.
func Settle(ctx context.Context, deps Deps) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(deps.Brokers...))
	if err != nil {
		return fmt.Errorf("waiting for rest: %w", err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	last := "nothing is known yet"
	for same := 0; ; {
		r := rest{deps: deps, admin: admin, read: same > patience}
		unrest, err := r.unrest(ctx)
		if same++; unrest != last {
			same = 0
		}
		switch {
		case err == nil && unrest == "":
			return nil
		case ctx.Err() != nil: // what was found before says more
		case err != nil: // a server that is being started again, perhaps
			last = err.Error()
		default:
			last = unrest
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for rest: %w; at last: %s", ctx.Err(), last)
		case <-tick.C:
		}
	}
}

// patience is how many looks in a row may find the same lag before the records
// are read: see [waiting].
const patience = 10

// rest looks whether a system is at rest.
type rest struct {
	deps  Deps
	admin *kadm.Client
	read  bool // the records that lag behind
}

// unrest says what goes on, or "" if nothing does.
//
// An offset is committed after the effects, and an outbox row is deleted after
// what it tells is in Kafka. So if every record is taken, then the outbox is
// empty, and then Kafka still has no more records, there was a moment at which
// nothing was on its way.
func (r *rest) unrest(ctx context.Context) (string, error) {
	before := map[string]map[int32]records.Extent{}
	for topic, group := range r.deps.ConsumerGroups {
		all, err := records.Extents(ctx, r.admin, topic, group)
		if err != nil {
			return "", err
		}
		if lag, err := r.lag(ctx, topic, all); lag != "" || err != nil {
			return lag, err
		}
		before[topic] = all
	}
	var rows int
	if err := r.deps.Pool.QueryRow(ctx, `SELECT count(*) FROM millrace.outbox`).Scan(&rows); err != nil {
		return "", fmt.Errorf("counting the outbox: %w", err)
	}
	if rows > 0 {
		return fmt.Sprintf("%d rows are in the outbox", rows), nil
	}
	return r.grown(ctx, before)
}

func (r *rest) lag(ctx context.Context, topic string, all map[int32]records.Extent) (string, error) {
	lagging := map[int32]records.Extent{}
	for partition, x := range all {
		if x.Committed < x.End {
			lagging[partition] = x
		}
	}
	if r.read && len(lagging) > 0 {
		count, err := waiting(ctx, r.deps.cluster(), topic, lagging)
		if err != nil {
			return "", err
		}
		for partition := range lagging {
			if count[partition] == 0 {
				delete(lagging, partition)
			}
		}
	}
	for _, partition := range slices.Sorted(maps.Keys(lagging)) {
		x := lagging[partition]
		return fmt.Sprintf("%s/%d is taken to %d of %d", topic, partition, x.Committed, x.End), nil
	}
	return "", nil
}

func (r *rest) grown(ctx context.Context, before map[string]map[int32]records.Extent) (string, error) {
	for topic, all := range before {
		ends, err := r.admin.ListCommittedOffsets(ctx, topic)
		if err == nil {
			err = ends.Error()
		}
		if err != nil {
			return "", fmt.Errorf("reading the last offsets of %s: %w", topic, err)
		}
		for partition, x := range all {
			if end, ok := ends.Lookup(topic, partition); ok && end.Offset != x.End {
				return fmt.Sprintf("%s/%d has just got more records", topic, partition), nil
			}
		}
	}
	return "", nil
}
