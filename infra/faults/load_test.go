package faults

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/infra/invariants"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/event"
)

// post posts events to ledger and returns the status; what is acknowledged is
// noted down.
func (w *world) post(t *testing.T, events ...*event.Event) int {
	t.Helper()
	body := []byte{'['}
	for n, e := range events {
		if n > 0 {
			body = append(body, ',')
		}
		body = event.AppendJSON(body, e)
	}
	resp, err := http.Post("http://"+w.functions["ledger"].address, "application/cloudevents-batch+json", bytes.NewReader(append(body, ']')))
	if err != nil {
		t.Error(err)
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close() // the status is all that counts
	if resp.StatusCode == http.StatusAccepted {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, e := range events {
			w.sent = append(w.sent, invariants.Sent{TenantID: e.TenantID, Source: e.Source, ID: e.ID})
		}
	}
	return resp.StatusCode
}

// TestFloodOfOneTenant: PostgreSQL is slow, and a tenant sends more than goes. Its
// requests wait for room and then get 429; the other tenant is served all the time.
func TestFloodOfOneTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stores{}, "ledger")
	w.functions["ledger"].process.kill(t)
	w.start(t, "ledger", "QUEUE_EVENTS=100", "MAX_BATCH=10", "REQUEST_TIMEOUT=3s")
	w.postgres.SetDelay(20 * time.Millisecond)
	w.startRelay(t)
	var noRoom, over atomic.Int32
	var flood sync.WaitGroup
	for sender := range 60 {
		flood.Go(func() {
			// Again what was not taken, else more: there is a flood until it is over.
			for n := 0; over.Load() == 0; {
				batch := some(50, fmt.Sprintf("flood-%d-%d", sender, n), posted)
				for _, e := range batch {
					e.TenantID = "flood"
				}
				switch w.post(t, batch...) {
				case http.StatusAccepted:
					n++
				case http.StatusTooManyRequests:
					noRoom.Add(1)
				}
			}
		})
	}
	end := func() {
		over.Store(1)
		flood.Wait()
	}
	defer end() // however the test ends
	served := 0
	stacktest.Eventually(t, time.Minute, "the other tenant to be served ten times, and the flood to find no room", func(context.Context) bool {
		switch status := w.post(t, posted(fmt.Sprint("other-", served), "journal")); status {
		case http.StatusAccepted:
			served++
		case http.StatusGatewayTimeout, http.StatusServiceUnavailable: // of a machine that is slow too: it had room, and comes again
		default:
			t.Fatalf("the other tenant got %d", status)
		}
		return served >= 10 && noRoom.Load() > 0
	})
	w.postgres.SetDelay(0)
	end()
	w.holds(t)
}

// TestStoppedUnderLoad stops a function with SIGTERM while it decides, three times:
// it ends well, and what it acknowledged is decided.
func TestStoppedUnderLoad(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stores{}, "trade", "position", "ledger")
	w.startRelay(t)
	for n := range 3 {
		w.send(t, some(500, fmt.Sprint("T", n), executed)...)
		w.decided(t, "trade", 500*n+50)
		p := w.functions["trade"].process
		p.signal(t, syscall.SIGTERM)
		<-p.ended
		if code := p.ProcessState.ExitCode(); code != 0 {
			t.Errorf("it ended with %d", code)
		}
		w.start(t, "trade")
		w.decided(t, "trade", 500*n+500)
	}
	w.holds(t)
}
