package soak

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/infra/records"
	"github.com/millrace/millrace/infra/traffic"
	"github.com/millrace/millrace/infra/traffic/produce"
	"github.com/millrace/millrace/shared/fault"
	"github.com/millrace/millrace/shared/kafka"
)

// backlog is how many records the triggers may be behind: enough for large
// batches, and little enough that each fault meets the platform at work.
const backlog = 10_000

// send sends the traffic as fast as it is worked off, and lets each fault
// strike in its turn. What was held back to come late is sent at the end.
func (s *soak) send(ctx context.Context) (e traffic.Expected, err error) {
	generator, err := traffic.New(s.Traffic)
	if err != nil {
		return e, err
	}
	producer, err := produce.New(s.platform.Addresses.KafkaBrokers, kafka.Security{})
	if err != nil {
		return e, err
	}
	defer func() { err = cmp.Or(err, producer.Close()) }()
	client, err := kgo.NewClient(kgo.SeedBrokers(s.platform.Addresses.KafkaBrokers...))
	if err != nil {
		return e, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	progress, done := s.Begin()
	defer done()
	next := s.faults.next()
	for n := 0; ; n++ {
		if n%1000 == 0 {
			progress(n, fmt.Sprintf("%d faults", len(s.faults.log)))
			if err := s.keepPace(ctx, admin); err != nil {
				return e, err
			}
		}
		if n == next {
			s.faults.strike(ctx, n)
			next += s.faults.next()
		}
		if s.For > 0 && time.Since(s.started) > s.For {
			generator.End()
		}
		r, ok := generator.Next()
		if !ok {
			return generator.Expected(), nil
		}
		if err := producer.Send(ctx, r); err != nil {
			return e, err
		}
	}
}

// keepPace waits while the triggers are too far behind.
func (s *soak) keepPace(ctx context.Context, admin *kadm.Client) error {
	for {
		behind, err := s.behind(ctx, admin)
		if err == nil && behind < backlog {
			return nil
		}
		if !fault.Pause(ctx, 50*time.Millisecond) {
			return fmt.Errorf("waiting for the triggers, %d records behind: %w", behind, cmp.Or(err, ctx.Err()))
		}
	}
}

// behind is how many records are not done, in all topics.
func (s *soak) behind(ctx context.Context, admin *kadm.Client) (n int64, err error) {
	for topic, group := range s.platform.Addresses.TopicGroups() {
		partitions, err := records.Extents(ctx, admin, topic, group)
		if err != nil {
			return n, err
		}
		for _, x := range partitions {
			n += x.End - x.Committed
		}
	}
	return n, nil
}
