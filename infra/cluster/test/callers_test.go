package test_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/infra/traffic"
	"github.com/millrace/millrace/shared/event"
)

// callers ask a function one event at a time and never again, as a client without
// retries does.
type callers struct {
	answered atomic.Int64
	refused  atomic.Pointer[string] // the first answer that was none, if any
	stop     context.CancelFunc
	tasks    sync.WaitGroup
	mu       sync.Mutex
	sent     []traffic.Record
}

// callers are three that ask at most once in 50 ms each.
func (w *world) callers(t *testing.T, function string) *callers {
	t.Helper()
	return w.callAtOnce(t, function, 3, 50*time.Millisecond)
}

// callAtOnce has n ask a function until they are told to end, each at most once in
// a period.
func (w *world) callAtOnce(t *testing.T, function string, n int, period time.Duration) *callers {
	t.Helper()
	s := newTraffic(t, 0)
	if err := s.Only(function); err != nil {
		t.Fatal(err)
	}
	g, err := traffic.New(s)
	if err != nil {
		t.Fatal(err)
	}
	client, url := w.client(t, function)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	c := &callers{stop: stop}
	t.Cleanup(func() { stop(); c.tasks.Wait() })
	for range n {
		c.tasks.Go(func() {
			pace := time.NewTicker(period)
			defer pace.Stop()
			for ctx.Err() == nil {
				c.ask(client, url, g)
				<-pace.C
			}
		})
	}
	return c
}

// client is for requests to a function, each on a connection of its own. Its name is
// looked up before.
func (w *world) client(t *testing.T, function string) (client *http.Client, url string) {
	t.Helper()
	host := function + "." + namespace + ".svc.cluster.local"
	gateway, err := w.resolve(t.Context(), net.JoinHostPort(host, "80"))
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, gateway)
		},
	}}, "http://" + host
}

func (c *callers) ask(client *http.Client, url string, g *traffic.Generator) {
	c.mu.Lock()
	r, _ := g.Next()
	c.sent = append(c.sent, r)
	c.mu.Unlock()
	response, err := client.Post(url, "application/cloudevents+json", bytes.NewReader(event.AppendJSON(nil, r.Event)))
	if err != nil {
		c.refuse(err.Error())
		return
	}
	defer func() { _ = response.Body.Close() }()
	if body, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusAccepted {
		c.refuse(fmt.Sprintf("%d %s %v", response.StatusCode, body, err))
		return
	}
	c.answered.Add(1)
}

func (c *callers) refuse(why string) {
	why = time.Now().UTC().Format(time.TimeOnly) + " " + why
	c.refused.CompareAndSwap(nil, &why)
}

// end returns all that was sent. Not one may have had no answer.
func (c *callers) end(t *testing.T) []traffic.Record {
	t.Helper()
	c.stop()
	c.tasks.Wait()
	c.hold(t)
	t.Logf("%d requests, all of them answered", c.answered.Load())
	return c.sent
}

func (c *callers) hold(t *testing.T) {
	t.Helper()
	if why := c.refused.Load(); why != nil {
		t.Fatalf("after %d answers one was refused: %s", c.answered.Load(), *why)
	}
}

// await returns when so many more requests were answered.
func (c *callers) await(t *testing.T, more int64) {
	t.Helper()
	until := c.answered.Load() + more
	await(t, fmt.Sprintf("%d more requests are answered", more), 2*time.Minute, func(context.Context) (string, error) {
		if n := c.answered.Load(); n < until && c.refused.Load() == nil {
			return fmt.Sprintf("%d are missing", until-n), nil
		}
		return "", nil
	})
	c.hold(t)
}
