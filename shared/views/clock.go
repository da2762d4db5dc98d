package views

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// clockRefresh is how long an answer of the servers is built on.
const clockRefresh = 30 * time.Second

// Clock tells the time of the Redis servers, which claims' deadlines are compared
// with, so that it does not matter whether this machine's clock is right. It asks
// them now and then and counts on from their answer by the monotonic clock. Of
// several masters it follows the one that is ahead, so that no claim expires early.
type Clock struct {
	client redis.UniversalClient

	mu    sync.Mutex
	there time.Time // the servers' time
	here  time.Time // when that was so; zero if it has to be asked
}

// NewClock returns a clock of the client's servers.
func NewClock(client redis.UniversalClient) *Clock { return &Clock{client: client} }

// Deadline is when a claim expires whose state is read after this call: the
// servers' time now, and Lifetime.
func (c *Clock) Deadline(ctx context.Context) (time.Time, error) {
	now, err := c.Now(ctx)
	if err != nil {
		return time.Time{}, err
	}
	return now.Add(Lifetime), nil
}

// Now is the servers' time.
func (c *Clock) Now(ctx context.Context) (time.Time, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if elapsed := time.Since(c.here); !c.here.IsZero() && elapsed < clockRefresh {
		return c.there.Add(elapsed), nil
	}
	// The time before asking: counting from it may tell a little more than the
	// servers' time, which lengthens a claim's life by one round trip at most.
	here := time.Now()
	there, err := serversTime(ctx, c.client)
	if err != nil {
		return time.Time{}, wrap(err, "views: asking Redis for its time")
	}
	c.here, c.there = here, there
	return there.Add(time.Since(here)), nil
}

// Forget has the servers asked again. Call it when a claim expired that should not
// have: their clock was set, or another server took over.
func (c *Clock) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.here = time.Time{}
}

func serversTime(ctx context.Context, client redis.UniversalClient) (time.Time, error) {
	var mu sync.Mutex
	var latest time.Time
	err := eachMaster(ctx, client, func(ctx context.Context, master *redis.Client) error {
		now, err := master.Time(ctx).Result()
		mu.Lock()
		defer mu.Unlock()
		if now.After(latest) {
			latest = now
		}
		return err
	})
	return latest, err
}
