package kafka

import (
	"testing"
	"time"
)

// A partition is behind by what is not marked, also while nothing is marked.
func TestLag(t *testing.T) {
	t.Parallel()
	now := time.Now()
	c := newClaim("trade-events", 0)
	if c.lag() != 0 || c.oldest(now) != 0 {
		t.Error("nothing is known yet", c.lag(), c.oldest(now))
	}
	c.end = func() int64 { return 10 }
	c.next = 4
	if c.lag() != 6 || c.oldest(now) != 0 {
		t.Error("nothing was read yet", c.lag(), c.oldest(now))
	}
	c.records = []*record{{offset: 4, at: now.Add(-time.Minute)}, {offset: 5, at: now, done: true}}
	c.next = 6
	if c.lag() != 6 || c.oldest(now) != time.Minute {
		t.Error("the first is not done", c.lag(), c.oldest(now))
	}
	c.records[0].done = true
	if c.mark() != 2 || c.lag() != 4 || c.oldest(now) != 0 {
		t.Error("both are done", c.lag(), c.oldest(now))
	}
}
