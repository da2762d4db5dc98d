package gateway

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/millrace/millrace/shared/binding"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/fault"
	"github.com/millrace/millrace/shared/kafka"
)

// fuzzed is a request with any path, query, header and body.
func fuzzed(t *testing.T, kind, query, name, value string, body []byte) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(body))
	r.URL = &url.URL{Path: "/v1/events/" + kind, RawQuery: query}
	r.SetPathValue("type", kind)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(name, value)
	return r
}

// Plain JSON becomes an event with the body for data and the id that the answer
// names, or the client hears what is wrong with it.
func FuzzPlain(f *testing.F) {
	f.Add("trade.executed.v1", "tenant=acme&subject=a%2Fb&id=7", "Idempotency-Key", `"7"`, []byte(`{"a":1.10}`))
	f.Add("t", "time=2026-01-02T03:04:05Z&partitionkey=%zz", "Ce-Id", "x", []byte(`[`))
	f.Add("\x00", "sequence=1&id=1&id=2", "Content-Type", "text/plain", []byte("null"))
	f.Fuzz(func(t *testing.T, kind, query, name, value string, body []byte) {
		config := testConfig([]string{"none"})
		g := &Gateway{config: config, reader: binding.NewReader(config.Requests)}
		w, r := httptest.NewRecorder(), fuzzed(t, kind, query, name, value, body)
		received, err := g.readPlain(t.Context(), newVisit(w, r, grants{}))
		if err != nil {
			if status := fault.KindOf(err).Status(); status < 400 || status >= 500 {
				t.Fatalf("%d: %v", status, err)
			}
			return
		}
		e := received[0].Event
		if len(received) != 1 || e.Type != kind || !bytes.Equal(e.Data, body) || w.Header().Get(idempotencyKey) != e.ID {
			t.Fatalf("%+v", e)
		}
		if e.Validate(e.Time) != nil {
			return
		}
		again := event.ParseStructured(received[0].Raw)
		if again.Err != nil || again.Event.ID != e.ID || again.Event.Digest() != e.Digest() {
			t.Fatalf("%s: %v", received[0].Raw, again.Err)
		}
	})
}

// Whatever a Broker brings fits into a dead letter, with the beginning of its
// body.
func FuzzLetter(f *testing.F) {
	f.Add("Content-Type", "application/cloudevents+json", "Ce-Type", "trade.x.v1", []byte(`{"specversion":"1.0","type":"trade.x.v1","partitionkey":"k"}`), uint32(0))
	f.Add("Ce-Subject", "\xff%C3%28", "Content-Encoding", "gzip", []byte{}, uint32(2<<20))
	f.Fuzz(func(t *testing.T, name, value, second, other string, body []byte, more uint32) {
		body = append(body, make([]byte, min(more, 2<<20))...)
		r := fuzzed(t, "", "", name, value, body)
		r.Header.Set(second, other)
		l := requestLetter(r, body, fault.New(fault.Invalid, "%s", other))
		m := l.Message(l.keep)
		if size := m.ByteSize(2); size > kafka.MaxMessageBytes || l.keep < 0 {
			t.Fatalf("a record of %d bytes, %d kept", size, l.keep)
		}
		if kept, err := m.Value.Encode(); err != nil || !bytes.HasPrefix(body, kept) {
			t.Fatalf("kept %q: %v", kept, err)
		}
	})
}
