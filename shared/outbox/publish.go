package outbox

import (
	"context"
	"errors"
	"sync"
)

// Publish publishes claims: everything that can be of each, whatever fails
// beside it. What is done is taken out of the outbox, so that a repeat tries
// only what is open. Its error says what failed, and leaves rows to a sweep.
//
// Redis, Kafka and draining go on side by side: an outage of one does not hold
// up the others.
//
//	a crash before any of them   the rows are swept and published
//	in or after any of them      the rows are swept and published again: views of
//	                             a version that is shown change nothing, events
//	                             have the ids they had, drained streams are empty
//	after the rows are deleted   nothing is left to do
func (r *Relay) Publish(ctx context.Context, claims []Claim) error {
	return r.publish(ctx, newWorks(claims), everything).err()
}

// report is what failed of a publication.
type report struct{ redis, kafka, drain, finish error }

func (r report) err() error { return errors.Join(r.redis, r.kafka, r.drain, r.finish) }

// reach says what may be asked.
type reach struct{ redis, kafka bool }

var everything = reach{redis: true, kafka: true}

func (r *Relay) publish(ctx context.Context, works []*work, open reach) (failed report) {
	var parts sync.WaitGroup
	if open.redis {
		parts.Go(func() { failed.redis = r.show(ctx, works) })
	}
	if open.kafka {
		parts.Go(func() { failed.kafka = r.send(ctx, works) })
	}
	parts.Go(func() { failed.drain = r.drain(ctx, works) })
	parts.Wait()
	failed.finish = r.finish(ctx, works)
	return failed
}

// drain decides the parked events that were left over.
func (r *Relay) drain(ctx context.Context, works []*work) error {
	if r.cfg.Drain == nil {
		return nil
	}
	var errs []error
	for _, w := range works {
		w.rest.drain = without(w.Drain, func(s Stream) bool {
			ctx, cancel := context.WithTimeout(ctx, r.cfg.DrainTimeout)
			defer cancel()
			err := r.cfg.Drain(ctx, w.Function, s)
			if err != nil {
				errs = append(errs, err)
			}
			return err == nil
		})
	}
	return errors.Join(errs...)
}
