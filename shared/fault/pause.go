package fault

import (
	"context"
	"time"
)

// Pause waits for d before something is tried again, and reports false when ctx
// ended first.
func Pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
