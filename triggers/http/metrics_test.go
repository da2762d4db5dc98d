package gateway

import (
	"net/http"
	"strings"
	"testing"

	"github.com/millrace/millrace/shared/binding"
)

func TestMetrics(t *testing.T) {
	t.Parallel()
	function := newFunction(t, func(w http.ResponseWriter, id string) {
		respond(w, 422, problemMedia, `{"title":"refused","status":422,"id":"`+id+`","outcome":"refused","reason":"r"}`)
	})
	w := newWorld(t, func(c *Config) { c.Calls = CallURLs{"*": function} })
	w.send(t, request{"/", binding.BatchMedia, batch(structured("a", nil), structured("b", nil)), nil})
	w.send(t, request{"/v1/events", binding.StructuredMedia, "{", nil})
	w.send(t, request{"/v1/calls/trade.x?tenant=t&subject=s", jsonMedia, "{}", nil})
	w.bring(t, request{"/", binding.StructuredMedia, structured("c", map[string]any{"time": nil}), nil})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	text := roundTrip(t, http.DefaultClient, r).body
	for _, line := range []string{
		`millrace_http_requests_total{route="/",status="202"} 2`, `millrace_http_requests_total{route="/v1/events",status="400"} 1`,
		`millrace_http_requests_total{route="/v1/calls/{type}",status="422"} 1`, `millrace_http_events_total{function="trade"} 2`,
		`millrace_http_calls_total{function="trade",outcome="refused"} 1`, `millrace_http_requests_in_flight 0`, `millrace_http_request_seconds_count{route="/"} 2`,
		`millrace_http_dead_letters_total{reason="invalid",topic="trade-events-dead-letter"} 1`,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no line %s in %s", line, text)
		}
	}
}
