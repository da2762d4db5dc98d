package kafka_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/infra/invariants"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/fault"
)

// posts are trades by HTTP, one after the other: each is sent again until it is
// accepted.
type posts struct {
	w      *world
	acked  atomic.Int64
	cancel context.CancelFunc
	done   chan struct{}
	sent   []invariants.Sent
}

// posts starts to post; end stops it.
func (w *world) posts(t *testing.T) *posts {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &posts{w: w, cancel: cancel, done: make(chan struct{})}
	to := tenant(t)
	go func() {
		defer close(p.done)
		for n := 0; ctx.Err() == nil; n++ {
			e := executed(to, fmt.Sprint("by HTTP ", n), fmt.Sprint("account-", n%7))
			for ctx.Err() == nil && !w.post(ctx, e) {
			}
			if ctx.Err() == nil {
				p.sent = append(p.sent, identity(e))
				p.acked.Add(1)
			}
			fault.Pause(ctx, time.Second/20) // a pace, no wait
		}
	}()
	t.Cleanup(cancel)
	return p
}

func (p *posts) more(t *testing.T, n int64) {
	t.Helper()
	until := p.acked.Load() + n
	stacktest.Eventually(t, patience, fmt.Sprintf("%d more events to be accepted by HTTP", n), func(context.Context) bool { return p.acked.Load() >= until })
}

// end ends it; the world accounts for what was accepted.
func (p *posts) end() {
	p.cancel()
	<-p.done
	p.w.sent = append(p.w.sent, p.sent...)
}

// post sends an event by HTTP, and says whether it was accepted.
func (w *world) post(ctx context.Context, e *event.Event) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url("http"), strings.NewReader(string(event.AppendJSON(nil, e))))
	if err != nil {
		return false
	}
	request.Header.Set("Content-Type", "application/cloudevents+json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusAccepted
}
