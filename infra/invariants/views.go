package invariants

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/shared/fault"
	"github.com/millrace/millrace/shared/outbox"
	"github.com/millrace/millrace/shared/views"
)

// AwaitViews waits until every Redis is of the database's epoch. [Settle] does
// not tell: the outbox says nothing of a Redis that has lost everything. It uses
// Pool and Redis.
func AwaitViews(ctx context.Context, deps Deps) error {
	for {
		epoch, err := outbox.Epoch(ctx, deps.Pool)
		if err == nil {
			var masters []views.Master
			masters, err = views.CheckEpoch(ctx, deps.Redis, epoch)
			if err == nil && len(masters) == 0 {
				return nil
			}
		}
		if !fault.Pause(ctx, 50*time.Millisecond) {
			return fmt.Errorf("waiting for Redis to be rebuilt: %w", errors.Join(ctx.Err(), err))
		}
	}
}
