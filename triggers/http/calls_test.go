package gateway

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/shared/binding"
	"github.com/millrace/millrace/shared/event"
)

// newFunction answers calls as answer says, which gets the event's id.
func newFunction(t *testing.T, answer func(w http.ResponseWriter, id string)) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		received := event.ParseStructured(body)
		if err != nil || received.Err != nil || r.URL.Path != "/call" || r.Header.Get("Content-Type") != binding.StructuredMedia ||
			r.Header.Get("Traceparent") != received.Event.TraceParent {
			t.Errorf("the function got %s %s: %v %v", r.URL, body, err, received.Err)
		}
		answer(w, received.Event.ID)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func respond(w http.ResponseWriter, status int, media, body string) {
	w.Header().Set("Content-Type", media)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

const problemMedia = "application/problem+json"

func TestCalls(t *testing.T) {
	t.Parallel()
	url := newFunction(t, func(w http.ResponseWriter, id string) {
		switch id {
		case "refused":
			respond(w, 422, problemMedia, `{"title":"refused","status":422,"id":"refused","outcome":"refused","version":3,"reason":"trade-unknown","detail":"no such trade"}`)
		case "kept out":
			respond(w, 422, problemMedia, `{"title":"unprocessable","status":422,"detail":"too many dead letters"}`)
		case "no room":
			respond(w, 429, problemMedia, `{"title":"overloaded","status":429,"detail":"no room for 1 events"}`)
		case "slow":
			respond(w, 504, problemMedia, `{"title":"timed-out","status":504,"detail":"not committed in 20s"}`)
		case "down":
			respond(w, 503, problemMedia, `{"title":"unavailable","status":503,"detail":"secret internals"}`)
		case "moved":
			w.Header().Set("Location", "/elsewhere")
			respond(w, 302, "text/plain", "")
		case "another":
			respond(w, 200, "text/html", "<p>hello")
		default:
			respond(w, 200, jsonMedia, `{"id":"`+id+`","outcome":"applied","duplicate":true,"version":3}`)
		}
	})
	w := newWorld(t, func(c *Config) { c.Calls = CallURLs{"trade": url, "*": "http://127.0.0.1:1/{function}"} })
	const path = "/v1/calls/trade.executed.v1?tenant=acme&subject=a"
	event := func(change map[string]any) request {
		all := map[string]any{"source": "millrace-http"}
		maps.Copy(all, change)
		return request{"/v1/calls", binding.StructuredMedia, structured("e", all), nil}
	}
	for name, test := range map[string]struct {
		request
		status int
		text   string
	}{
		"plain":          {request{path + "&id=one", jsonMedia, "{}", nil}, 200, `{"id":"one","outcome":"applied","duplicate":true,"version":3}`},
		"an event":       {event(nil), 200, `{"id":"e","outcome":"applied"`},
		"binary":         {request{"/v1/calls", jsonMedia, "{}", append(binary("e")[:2], "ce-source: millrace-http", "ce-type: trade.x", "ce-subject: a", "ce-tenantid: t", "ce-time: 2026-11-20T09:00:00Z")}, 200, `{"id":"e"`},
		"refused":        {request{path + "&id=refused", jsonMedia, "{}", nil}, 422, `"outcome":"refused","version":3,"reason":"trade-unknown"`},
		"kept out":       {request{path + "&id=kept%20out", jsonMedia, "{}", nil}, 422, "too many dead letters"},
		"no room":        {request{path + "&id=no%20room", jsonMedia, "{}", nil}, 429, "no room for 1 events"},
		"slow":           {request{path + "&id=slow", jsonMedia, "{}", nil}, 504, "call again with the same id"},
		"down":           {request{path + "&id=down", jsonMedia, "{}", nil}, 503, "call again with the same id"},
		"moved":          {request{path + "&id=moved", jsonMedia, "{}", nil}, 503, "does not answer as it should"},
		"another server": {request{path + "&id=another", jsonMedia, "{}", nil}, 503, "does not answer as it should"},
		"not there":      {request{"/v1/calls/ledger.posted.v1?tenant=acme&subject=a", jsonMedia, "{}", nil}, 503, "does not answer; call again"},
		"a sequence":     {event(map[string]any{"sequence": 1}), 400, "a call has no sequence"},
		"another source": {event(map[string]any{"source": "/mine"}), 400, `source \"/mine\": a call has the gateway's own source, \"millrace-http\"`},
		"a batch":        {request{"/v1/calls", binding.BatchMedia, batch(structured("a", nil), structured("b", nil)), nil}, 400, "one event, not 2"},
		"no event":       {request{"/v1/calls", binding.BatchMedia, "[]", nil}, 400, "one event, not 0"},
		"a bad one":      {event(map[string]any{"tenantid": nil}), 400, "tenantid is missing"},
	} {
		answer := w.send(t, test.request)
		answer.wants(t, name, test.status, test.text)
		if retry := answer.header.Get("Retry-After"); (retry != "") != (test.status == 429 || test.status > 500) {
			t.Errorf("%s: Retry-After is %q", name, retry)
		}
		if strings.Contains(answer.body, "secret") {
			t.Errorf("%s: internals are told: %s", name, answer.body)
		}
	}
	w.stored(t, 0)
}

func TestCallsThatAreNotSetUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.send(t, request{"/v1/calls/trade.executed.v1?tenant=acme&subject=a", jsonMedia, "{}", nil}).wants(t, "no URL", http.StatusNotFound, "CALL_URLS")
}

// A function that does not answer in time gets the client 504.
func TestCallTimesOut(t *testing.T) {
	t.Parallel()
	stuck := make(chan struct{})
	url := newFunction(t, func(http.ResponseWriter, string) { <-stuck })
	w := newWorld(t, func(c *Config) { c.Calls, c.RequestTimeout = CallURLs{"*": url}, 200*time.Millisecond })
	answer := w.send(t, request{"/v1/calls/trade.executed.v1?tenant=acme&subject=a", jsonMedia, "{}", nil})
	close(stuck)
	answer.wants(t, "stuck", http.StatusGatewayTimeout, "may have decided all the same")
}
