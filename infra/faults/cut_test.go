package faults

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/infra/faults/proxy"
)

// dropEach drops each nth reply to what has text in it, with its connection, and
// counts them.
func dropEach(p *proxy.Proxy, text string, nth int) (dropped *atomic.Int32) {
	dropped = &atomic.Int32{}
	p.On(text, proxy.Reply, func(n int) proxy.Verdict {
		if n%nth != 0 {
			return proxy.Pass
		}
		dropped.Add(1)
		return proxy.Cut
	})
	return dropped
}

// TestCommitReplyLost: PostgreSQL commits, and just that reply is lost, of every
// second transaction. Each finds out that it was decided.
func TestCommitReplyLost(t *testing.T) {
	t.Parallel()
	testRepliesLost(t, func(w *world) *proxy.Proxy { return w.postgres }, "COMMIT", 10, 5)
}

// TestRedisReplyLost: Redis has applied a script, and the reply is lost.
func TestRedisReplyLost(t *testing.T) {
	t.Parallel()
	testRepliesLost(t, func(w *world) *proxy.Proxy { return w.redis }, "evalsha", 5, 2)
}

// testRepliesLost sends ten trades a round, while every second reply to what has
// text in it is lost: at least so many.
func testRepliesLost(t *testing.T, of func(*world) *proxy.Proxy, text string, rounds int, least int32) {
	t.Helper()
	w := newWorld(t, stores{}, "trade", "position", "ledger")
	dropped := dropEach(of(w), text, 2)
	w.startRelay(t)
	for n := range rounds {
		w.send(t, some(10, fmt.Sprint("T", n), executed)...)
		w.decided(t, "trade", 10*(n+1))
	}
	w.holds(t)
	if n := dropped.Load(); n < least {
		t.Errorf("only %d replies were lost", n)
	}
}

// TestConnectionsCut cuts all connections to PostgreSQL and Redis again and again,
// wherever they are, over a slow network.
func TestConnectionsCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stores{}, "trade", "position", "ledger")
	w.startRelay(t)
	w.postgres.SetDelay(time.Millisecond)
	w.redis.SetDelay(time.Millisecond)
	for n := range 15 {
		w.send(t, some(10, fmt.Sprint("T", n), executed)...)
		w.decided(t, "trade", 5*(n+1))
		for _, p := range []*proxy.Proxy{w.postgres, w.redis, w.relay.postgres, w.relay.redis} {
			p.Cut()
		}
	}
	w.holds(t)
}
