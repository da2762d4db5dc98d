package kafka

import (
	"context"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]outcome{
		200: {verdict: delivered}, 202: {verdict: delivered}, 204: {verdict: delivered},
		400: {verdict: refused}, 413: {verdict: refused}, 422: {verdict: refused}, 410: {verdict: refused},
		401: {}, 403: {}, 404: {}, 405: {}, 409: {}, 415: {}, 429: {}, 503: {}, 302: {}, 101: {},
		408: {suspect: true}, 500: {suspect: true}, 502: {suspect: true}, 504: {suspect: true}, 599: {suspect: true},
	} {
		got := judge(status, "", nil)
		if got.verdict != want.verdict || got.suspect != want.suspect || got.status != status {
			t.Errorf("%d: got %+v, want %+v", status, got, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "soon": 0, "-5": 0, "3": 3 * time.Second, "99999999999999": maxRetryAfter, "9999999": maxRetryAfter,
		"Thu, 01 Jan 2026 00:00:10 GMT": 10 * time.Second, "Wed, 31 Dec 2025 00:00:00 GMT": 0, "Sat, 01 Jan 2028 00:00:00 GMT": maxRetryAfter,
	} {
		if got := retryAfter(header, now); got != want {
			t.Errorf("%q: got %s, want %s", header, got, want)
		}
	}
}

func oneRecord(event string) []*record { return []*record{{event: []byte(event)}} }

func newTestSink(t *testing.T, cfg Config) *sink {
	t.Helper()
	cfg.InFlight, cfg.BatchBytes = 1, 1000
	if cfg.SinkTimeout == 0 {
		cfg.SinkTimeout = Seconds(patience)
	}
	s, err := newSink(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.client.CloseIdleConnections)
	return s
}

// The body of an answer is read, so that the connection serves the next request.
func TestConnectionIsUsedAgain(t *testing.T) {
	t.Parallel()
	addresses := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		addresses[r.RemoteAddr] = true
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(strings.Repeat("because ", 1000)))
	}))
	defer server.Close()
	s := newTestSink(t, Config{Sink: server.URL})
	for range 5 {
		o := s.post(context.Background(), oneRecord("{}"))
		if o.status != http.StatusBadRequest || len(o.data) != causeBytes {
			t.Errorf("got %+v", o)
		}
	}
	if len(addresses) != 1 {
		t.Errorf("%d connections", len(addresses))
	}
}

func TestConnectionErrors(t *testing.T) {
	t.Parallel()
	open := make(gate)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { open.pass(r) }))
	defer server.Close()
	defer close(open)
	s := newTestSink(t, Config{Sink: server.URL, SinkTimeout: Seconds(50 * time.Millisecond)})
	if o := s.post(context.Background(), oneRecord("{}")); o.verdict != retry || !o.suspect {
		t.Errorf("timeout: %+v", o)
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	s = newTestSink(t, Config{Sink: gone.URL})
	if o := s.post(context.Background(), oneRecord("{}")); o.verdict != retry || o.suspect || reason(o) != "connection" {
		t.Errorf("refused: %+v", o)
	}
}

// A redirect is not followed: the events would go where nobody meant them to.
func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:1/elsewhere", http.StatusTemporaryRedirect))
	defer server.Close()
	if o := newTestSink(t, Config{Sink: server.URL}).post(context.Background(), oneRecord("{}")); o.verdict != retry || o.status != 307 {
		t.Errorf("got %+v", o)
	}
}

func TestCACerts(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }))
	defer server.Close()
	server.Config.ErrorLog = nil
	if o := newTestSink(t, Config{Sink: server.URL}).post(context.Background(), oneRecord("{}")); o.verdict != retry {
		t.Errorf("an unknown certificate was trusted: %+v", o)
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if o := newTestSink(t, Config{Sink: server.URL, CACerts: string(ca)}).post(context.Background(), oneRecord("{}")); o.verdict != delivered {
		t.Errorf("K_CA_CERTS: %+v", o)
	}
}

// A buffer is not used again while a transport may still read it.
func TestBodiesAreUsedAgain(t *testing.T) {
	t.Parallel()
	s := newTestSink(t, Config{Sink: "http://sink"})
	b := s.body(oneRecord(`{"a":1}`))
	if string(b.content) != `[{"a":1}]` {
		t.Errorf("body %s", b.content)
	}
	s.reuse(b)
	if other := s.body(oneRecord(`{"b":2}`)); other == b {
		t.Error("a body that is not closed was used again")
	}
	large := s.body(oneRecord(strings.Repeat("x", 3000)))
	_ = large.Close()
	s.reuse(large)
	if other := s.body(oneRecord(`{}`)); other == large {
		t.Error("a large body was kept")
	}
}
