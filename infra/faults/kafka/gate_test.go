package kafka_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// gate stands before the function of trades, and holds requests or answers.
type gate struct {
	url string
	// passed counts events that were posted to the function.
	passed atomic.Int64

	mu     sync.Mutex
	target string
	holds  map[stage]*hold
}

// stage is where a request is held.
type stage int

const (
	arriving stage = iota // the function has nothing of it
	answered              // the function has committed, the trigger does not know
)

// hold is a closed gate.
type hold struct {
	reached chan struct{} // closed when a request waits
	once    sync.Once
	open    chan struct{} // closed by release
}

// newGate is closed at some stages.
func (w *world) newGate(t *testing.T, closed ...stage) *gate {
	t.Helper()
	g := &gate{target: w.url("trade"), holds: map[stage]*hold{}}
	for _, s := range closed {
		g.holds[s] = &hold{reached: make(chan struct{}), open: make(chan struct{})}
	}
	server := httptest.NewServer(g)
	g.url = server.URL
	t.Cleanup(func() {
		for _, s := range closed {
			g.release(s)
		}
		server.Close()
	})
	return g
}

// ServeHTTP forwards a request. What was forwarded is decided, whether or not
// the trigger still waits for the answer.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if !g.pass(r, arriving) {
		return
	}
	var batch []json.RawMessage
	if json.Unmarshal(body, &batch) == nil {
		g.passed.Add(int64(len(batch)))
	}
	status, answer, err := g.forward(context.WithoutCancel(r.Context()), r, body)
	if err != nil {
		status, answer = http.StatusBadGateway, []byte(err.Error())
	}
	if g.pass(r, answered) {
		w.WriteHeader(status)
		_, _ = w.Write(answer) // who has gone asks again
	}
}

func (g *gate) forward(ctx context.Context, r *http.Request, body []byte) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, r.Method, g.to()+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header = r.Header.Clone()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

func (g *gate) to() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.target
}

// redirect has it stand before another process of the function.
func (g *gate) redirect(target string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.target = target
}

// pass waits at a stage; false if the trigger has gone meanwhile.
func (g *gate) pass(r *http.Request, s stage) bool {
	g.mu.Lock()
	h := g.holds[s]
	g.mu.Unlock()
	if h == nil {
		return true
	}
	h.once.Do(func() { close(h.reached) })
	select {
	case <-h.open:
		return true
	case <-r.Context().Done():
		return false
	}
}

// await waits until a request is held.
func (g *gate) await(t *testing.T, s stage) {
	t.Helper()
	g.mu.Lock()
	h := g.holds[s]
	g.mu.Unlock()
	select {
	case <-h.reached:
	case <-time.After(patience):
		t.Fatal("no request came to the gate")
	}
}

// release opens the gate for good.
func (g *gate) release(s stage) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if h := g.holds[s]; h != nil {
		close(h.open)
		delete(g.holds, s)
	}
}
