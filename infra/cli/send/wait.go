package send

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/infra/platform"
	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/shared/fault"
	"github.com/millrace/millrace/shared/kafka"
)

// Waiter finds out what the functions decided.
type Waiter struct {
	conn  *pgx.Conn
	admin sarama.ClusterAdmin
	since time.Time
}

// NewWaiter connects to where decisions are stored. It is made before events
// are sent, as what is older tells of earlier events with the same ids.
func NewWaiter(ctx context.Context, databaseURL string, brokers []string, s kafka.Security) (*Waiter, error) {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return nil, fmt.Errorf("connecting to PostgreSQL: %w", err)
	}
	w := &Waiter{conn: conn}
	if err := conn.QueryRow(ctx, "SELECT now()").Scan(&w.since); err != nil {
		return nil, errors.Join(fmt.Errorf("asking PostgreSQL for the time: %w", err), conn.Close(ctx))
	}
	if w.admin, err = topics.Admin(context.WithoutCancel(ctx), "millrace-send", brokers, s); err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return w, nil
}

// Close ends the connections.
func (w *Waiter) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return errors.Join(w.admin.Close(), w.conn.Close(ctx))
}

// Intervals at which the database and Kafka are asked.
const (
	lookEvery = 50 * time.Millisecond
	markEvery = 500 * time.Millisecond
)

// Wait returns the outcomes in the order of events, when each has one or ctx
// ends; those that then have none are [Undecided].
func (w *Waiter) Wait(ctx context.Context, events []Stored) ([]Outcome, error) {
	known := map[identity]Outcome{}
	consumed := map[int]bool{} // by position in events
	var asked time.Time
	for {
		final, err := w.look(ctx, events, known, consumed)
		if ctx.Err() != nil {
			return collect(events, known), nil //nolint:nilerr // the query was broken off with the context
		}
		if err != nil {
			return nil, err
		}
		if final {
			return collect(events, known), nil
		}
		if time.Since(asked) > markEvery {
			asked = time.Now()
			w.markConsumed(events, consumed)
		}
		fault.Pause(ctx, lookEvery)
	}
}

// look brings known up to date and tells whether every event has its outcome.
func (w *Waiter) look(ctx context.Context, events []Stored, known map[identity]Outcome, consumed map[int]bool) (bool, error) {
	var open []identity
	for _, e := range events {
		if o, ok := known[e.identity()]; !ok || o.Verdict == Parked {
			open = append(open, e.identity())
		}
	}
	found, err := lookUp(ctx, w.conn, open, w.since)
	if err != nil {
		return false, err
	}
	maps.DeleteFunc(found, func(_ identity, o Outcome) bool { return !o.fresh })
	maps.Copy(known, found)
	stale, err := w.stale(ctx, events, known, consumed)
	if err != nil {
		return false, err
	}
	maps.Copy(known, stale)
	for i, e := range events {
		o, ok := known[e.identity()]
		// A parked event may be drained by one that was sent after it.
		if !ok || (o.Verdict == Parked && !consumed[i]) {
			return false, nil
		}
	}
	return true, nil
}

// stale explains events that were consumed and left no fresh row: duplicates of
// what was decided before.
func (w *Waiter) stale(ctx context.Context, events []Stored, known map[identity]Outcome, consumed map[int]bool) (map[identity]Outcome, error) {
	var ids []identity
	for i, e := range events {
		if _, ok := known[e.identity()]; !ok && consumed[i] {
			ids = append(ids, e.identity())
		}
	}
	if len(ids) == 0 {
		return nil, nil //nolint:nilnil // nothing is stale
	}
	found, err := lookUp(ctx, w.conn, ids, w.since)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		o, ok := found[id]
		switch {
		case !ok:
			found[id] = Outcome{Verdict: Undecided, Detail: "the trigger is done with it, but the database has no trace of it: look into the dead-letter topic"}
		case o.Verdict == Applied || o.Verdict == Refused:
			o.Detail = "it was " + string(o.Verdict) + " before"
			o.Verdict = Duplicate
			found[id] = o
		}
	}
	return found, nil
}

// markConsumed notes which events their trigger is done with. Without an answer
// from Kafka nothing is noted; the next time may bring one.
func (w *Waiter) markConsumed(events []Stored, consumed map[int]bool) {
	for function, partitions := range partitionsOf(events) {
		offsets, err := w.admin.ListConsumerGroupOffsets(platform.ConsumerGroup(function), partitions)
		if err != nil {
			continue
		}
		for i, e := range events {
			if e.Function != function {
				continue
			}
			if block := offsets.GetBlock(e.Topic, e.Partition); block != nil && block.Offset > e.Offset {
				consumed[i] = true
			}
		}
	}
}

// partitionsOf lists where the events of each function lie.
func partitionsOf(events []Stored) map[string]map[string][]int32 {
	all := map[string]map[string][]int32{}
	seen := map[string]bool{}
	for _, e := range events {
		key := fmt.Sprint(e.Function, e.Topic, e.Partition)
		if seen[key] {
			continue
		}
		seen[key] = true
		if all[e.Function] == nil {
			all[e.Function] = map[string][]int32{}
		}
		all[e.Function][e.Topic] = append(all[e.Function][e.Topic], e.Partition)
	}
	return all
}

func collect(events []Stored, known map[identity]Outcome) []Outcome {
	outcomes := make([]Outcome, len(events))
	before := map[identity]bool{}
	for i, e := range events {
		o, ok := known[e.identity()]
		if before[e.identity()] {
			o, ok = Outcome{Verdict: Duplicate, Version: o.Version, Detail: "its id stands in this input before"}, true
		}
		before[e.identity()] = true
		if !ok {
			o = Outcome{Verdict: Undecided, Detail: "no decision in the time given: millrace status tells whether its function is up and how far behind"}
		}
		outcomes[i] = o
	}
	return outcomes
}
