package relay

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/millrace/millrace/shared/outbox"
	"github.com/millrace/millrace/shared/postgres"
)

// sweeper sweeps one at a time, and beside it rebuilds Redis one at a time: a
// rebuild may take long, and must not hold up what goes to Kafka.
type sweeper struct {
	relay     *outbox.Relay
	olderThan time.Duration
	limit     int
	log       *slog.Logger
	metrics   *metrics

	sweeping   sync.Mutex
	rebuilding sync.Mutex
}

// sweep sweeps and rebuilds, whichever is not going on already, and reports
// whether it did the former.
func (s *sweeper) sweep(ctx context.Context) (swept bool, err error) {
	var rebuild sync.WaitGroup
	var rebuildErr error
	if s.rebuilding.TryLock() {
		rebuild.Go(func() {
			defer s.rebuilding.Unlock()
			_, rebuildErr = s.relay.Reconcile(ctx)
		})
	}
	if s.sweeping.TryLock() {
		swept = true
		err = s.rows(ctx)
		s.sweeping.Unlock()
	}
	rebuild.Wait()
	err = errors.Join(err, rebuildErr)
	// An outage of Redis or Kafka is logged once, where it begins.
	if err != nil && !outbox.IsUnreachable(err) && ctx.Err() == nil {
		s.log.Warn("a sweep left something", "error", postgres.Redact(err.Error()))
	}
	return swept, err
}

func (s *sweeper) rows(ctx context.Context) error {
	started := time.Now()
	n, err := s.relay.Sweep(ctx, s.olderThan, s.limit)
	s.metrics.swept(time.Since(started), err)
	if n > 0 {
		s.log.Info("swept", "rows", n, "took", time.Since(started).Round(time.Millisecond).String())
	}
	return err
}

// every sweeps at an interval until ctx ends.
func (s *sweeper) every(ctx context.Context, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_, _ = s.sweep(ctx) // it logs what goes wrong, and the next one tries again
		}
	}
}
