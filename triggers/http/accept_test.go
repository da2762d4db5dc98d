package gateway

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/shared/binding"
)

// A request with an event that cannot be decided is refused whole, and says
// what, where, and what to do.
func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) {
		c.Requests = binding.Limits{BodyBytes: 1 << 24, MaxBodyBytes: 1 << 17, MaxEventBytes: 1 << 16}
	})
	one := func(change map[string]any) request {
		return request{"/v1/events", binding.StructuredMedia, structured("e", change), nil}
	}
	plain := func(query, body string, headers ...string) request {
		return request{"/v1/events/trade.executed.v1?" + query, jsonMedia, body, headers}
	}
	good := structured("good", nil)
	for name, test := range map[string]struct {
		request
		status int
		text   string
	}{
		"no tenant":           {one(map[string]any{"tenantid": nil}), 400, `"detail":"tenantid is missing: name the tenant in the attribute tenantid (?tenant= for plain JSON)"`},
		"no subject":          {one(map[string]any{"subject": nil}), 400, "subject is missing: name the entity"},
		"no time":             {one(map[string]any{"time": nil}), 400, "time is missing: say when"},
		"an odd time":         {one(map[string]any{"time": "yesterday"}), 400, `time \"yesterday\" is not RFC 3339`},
		"a far time":          {one(map[string]any{"time": "2999-01-01T00:00:00Z"}), 400, "more than a day ahead"},
		"a reserved source":   {one(map[string]any{"source": "/millrace/trade/x"}), 400, `source \"/millrace/trade/x\" is reserved`},
		"an unknown function": {one(map[string]any{"type": "cake.baked.v1"}), 400, `type \"cake.baked.v1\" names no function: its first word has to be one of agent, `},
		"no JSON":             {one(map[string]any{"datacontenttype": "text/plain", "data": nil, "data_base64": "aGVsbG8="}), 400, "the data is not JSON"},
		"no data":             {one(map[string]any{"data": nil}), 400, "the data is not JSON"},
		"specversion 0.3":     {one(map[string]any{"specversion": "0.3"}), 400, "specversion"},
		"a large event":       {one(map[string]any{"data": strings.Repeat("x", 1<<16-600)}), 413, "65536 are allowed"},
		"a larger event":      {one(map[string]any{"data": strings.Repeat("x", 1<<16)}), 413, "an event 65536 bytes"},
		"a large body":        {one(map[string]any{"data": strings.Repeat("x", 1<<17)}), 413, "131072 bytes"},
		"no event":            {request{"/v1/events", jsonMedia, "{}", nil}, 415, "want application/cloudevents-batch+json"},
		"gzip":                {request{"/v1/events", binding.StructuredMedia, "x", []string{"Content-Encoding: gzip"}}, 415, "gzip"},
		"no batch":            {request{"/v1/events", binding.BatchMedia, "{}", nil}, 400, "want a JSON array"},
		"too many":            {request{"/v1/events", binding.BatchMedia, "[" + strings.Repeat("0,", binding.MaxEvents) + "0]", nil}, 413, "10000 events"},
		"a header twice":      {request{"/", jsonMedia, "{}", binary("e", "ce-id: f")}, 400, "Ce-Id comes 2 times"},
		"content type twice":  {request{"/", jsonMedia, "{}", binary("e", "Content-Type: text/plain")}, 400, "Content-Type comes 2 times"},
		"one in a batch": {request{"/v1/events", binding.BatchMedia, batch(good, structured("bad", map[string]any{"tenantid": nil}), `7`, good), nil}, 400,
			`event 1 (id \"bad\"): tenantid is missing: name the tenant in the attribute tenantid (?tenant= for plain JSON); event 2: want a JSON object, got number; nothing of the request was taken`},
		"many in a batch": {request{"/v1/events", binding.BatchMedia, batch(slices.Repeat([]string{"7"}, 12)...), nil}, 400, "event 4: want a JSON object, got number; and 7 more; nothing"},

		"plain: no tenant":   {plain("subject=a", "{}"), 400, "tenantid is missing: name the tenant"},
		"plain: sequence":    {plain("tenant=t&subject=a&sequence=1", "{}"), 400, "no sequence"},
		"plain: a slip":      {plain("tenant=t&subjet=a", "{}"), 400, `the parameter \"subjet\" is unknown: there are tenant, subject`},
		"plain: twice":       {plain("tenant=t&subject=a&tenant=u", "{}"), 400, "the parameter tenant comes 2 times"},
		"plain: bad escape":  {plain("tenant=%zz", "{}"), 400, "percent-encode"},
		"plain: no JSON":     {plain("tenant=t&subject=a", "side=buy"), 400, "invalid character 's'"},
		"plain: JSON ends":   {plain("tenant=t&subject=a", `{"side":"buy"`), 400, "unexpected EOF"},
		"plain: two values":  {plain("tenant=t&subject=a", "{} {}"), 400, "something follows its value"},
		"plain: no body":     {plain("tenant=t&subject=a", ""), 400, "it is empty"},
		"plain: two ids":     {plain("tenant=t&subject=a&id=x", "{}", "Idempotency-Key: y"), 400, "two ids"},
		"plain: two keys":    {plain("tenant=t&subject=a", "{}", "Idempotency-Key: x", "Idempotency-Key: y"), 400, "comes 2 times"},
		"plain: a form":      {request{"/v1/events/trade.executed.v1?tenant=t&subject=a", "application/x-www-form-urlencoded", "{}", nil}, 415, "curl: --json"},
		"plain: no media":    {request{"/v1/events/trade.executed.v1?tenant=t&subject=a", "", "{}", nil}, 415, "application/json"},
		"plain: odd time":    {plain("tenant=t&subject=a&time=now", "{}"), 400, "not RFC 3339"},
		"plain: a bad type":  {request{"/v1/events/trade?tenant=t&subject=a", jsonMedia, "{}", nil}, 202, "trade-events"}, // the function knows its types
		"plain: another one": {request{"/v1/events/cake?tenant=t&subject=a", jsonMedia, "{}", nil}, 400, "names no function"},
	} {
		w.send(t, test.request).wants(t, name, test.status, test.text)
	}
	w.stored(t, 1)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/nothing", nil)
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, http.DefaultClient, r).wants(t, "nothing there", http.StatusNotFound, "/openapi.json")
	r.URL.Path = "/v1/events"
	got := roundTrip(t, http.DefaultClient, r)
	got.wants(t, "GET", http.StatusMethodNotAllowed, "POST")
	if got.header.Get("Allow") != "POST" {
		t.Errorf("Allow: %q", got.header.Get("Allow"))
	}
}
