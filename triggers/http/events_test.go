package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/shared/binding"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/trace"
	"github.com/millrace/millrace/shared/trace/tracetest"
)

const jsonMedia = "application/json"

// What is sent in every mode lies in Kafka as one and the same event.
func TestEveryModeIsOneEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	base64 := map[string]any{"data": nil, "data_base64": "eyJzaWRlIjoiYnV5In0="}
	for _, r := range []request{
		{"/", jsonMedia, `{"side":"buy"}`, binary("e%201")},
		{"/", jsonMedia, `{"side":"buy"}`, binary(`"e 1"`)},
		{"/v1/events", jsonMedia + "; charset=utf-8", `{"side": "buy"}`, binary("e%201")},
		{"/", binding.StructuredMedia, structured("e 1", nil), nil},
		{"/v1/events", binding.StructuredMedia + "; charset=UTF-8", structured("e 1", base64), nil},
		{"/v1/events", binding.BatchMedia, batch(structured("e 1", nil), structured("e 1", base64)), nil},
	} {
		answer := w.send(t, r)
		if r.path == "/" {
			answer.wants(t, r.media, http.StatusAccepted, "")
			continue
		}
		answer.wants(t, r.media, http.StatusAccepted, `{"events":[{"id":"e 1","topic":"trade-events","partition":`)
	}
	digests := map[[32]byte]bool{}
	for _, record := range w.stored(t, 7) {
		if record.Topic != "trade-events" || string(record.Key) != "account-1" {
			t.Errorf("a record in %s has key %s", record.Topic, record.Key)
		}
		if h := record.Headers; len(h) != 1 || h[0].Key != "content-type" || string(h[0].Value) != "application/cloudevents+json; charset=UTF-8" {
			t.Errorf("headers %v", h)
		}
		r := event.ParseStructured(record.Value)
		if r.Err != nil || r.Event.ID != "e 1" || r.Event.Source != "/shop" || r.Event.TenantID != "acme" {
			t.Fatalf("%s: %v", record.Value, r.Err)
		}
		digests[r.Event.Digest()] = true
	}
	if len(digests) != 1 {
		t.Errorf("there are %d digests of one event", len(digests))
	}
}

// The receipt says where each event of a batch is, in the order of the batch.
func TestReceipt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	var events []string
	for n := range 40 {
		change := map[string]any{"subject": fmt.Sprint("account-", n%7), "type": []string{"trade.executed.v1", "ledger.posted.v1"}[n%2]}
		if n%5 == 0 {
			change["partitionkey"] = "desk"
		}
		events = append(events, structured(fmt.Sprint(n), change))
	}
	answer := w.send(t, request{"/v1/events", binding.BatchMedia, batch(events...), nil})
	answer.wants(t, "batch", http.StatusAccepted, "{")
	told := decode[receipt](t, answer.body).Events
	if len(told) != len(events) {
		t.Fatalf("%d receipts", len(told))
	}
	for _, record := range w.stored(t, len(events)) {
		e := event.ParseStructured(record.Value).Event
		at := slices.Index(told, receiptOfOne{e.ID, record.Topic, record.Partition, record.Offset})
		if fmt.Sprint(at) != e.ID {
			t.Errorf("the receipt of %s is in place %d", e.ID, at)
		}
		if want := recordKey(e); string(record.Key) != want || strings.HasPrefix(want, "desk") != (at%5 == 0) {
			t.Errorf("%s has key %s", e.ID, record.Key)
		}
	}
	w.send(t, request{"/v1/events", binding.BatchMedia, "[]", nil}).wants(t, "an empty batch", http.StatusAccepted, `{"events":[]}`)
	w.send(t, request{"/", binding.BatchMedia, "[]", nil}).wants(t, "an empty batch", http.StatusAccepted, "")
}

func TestPlain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	const path = "/v1/events/trade.executed.v1?tenant=acme&subject=account%201"
	for _, r := range []struct {
		request
		id string // empty: made
	}{
		{request{path, jsonMedia, `{"side":"buy"}`, nil}, ""},
		{request{path + "&id=one", jsonMedia, `{"side":"buy"}`, nil}, "one"},
		{request{path, jsonMedia, `{"side":"buy"}`, []string{`Idempotency-Key: "two"`}}, "two"},
		{request{path + "&id=two&time=2026-11-20T10:00:00%2B01:00&partitionkey=k", jsonMedia, `{"side":"buy"}`, []string{"Idempotency-Key: two"}}, "two"},
	} {
		answer := w.send(t, r.request)
		answer.wants(t, r.path, http.StatusAccepted, `"topic":"trade-events"`)
		id := decode[receipt](t, answer.body).Events[0].ID
		if r.id != "" && id != r.id || len(id) < 3 || answer.header.Get(idempotencyKey) != id {
			t.Errorf("%s: id %q, header %q", r.path, id, answer.header.Get(idempotencyKey))
		}
	}
	for _, record := range w.stored(t, 4) {
		e := event.ParseStructured(record.Value).Event
		if e.Source != "millrace-http" || e.Subject != "account 1" || e.TenantID != "acme" || e.ContentType != jsonMedia || string(e.Data) != `{"side":"buy"}` || e.Sequence != 0 {
			t.Errorf("%s", record.Value)
		}
	}
}

// The largest event that is taken fits into a record, and, with what the batch
// trigger adds, through the function's door.
func TestLargestEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	room := w.maxEvent - wayBytes - len("account-1") - len(structured("e", map[string]any{"data": ""}))
	large := func(bytes int) request {
		return request{"/v1/events", binding.StructuredMedia, structured("e", map[string]any{"data": strings.Repeat("x", bytes)}), nil}
	}
	w.send(t, large(room)).wants(t, "the largest", http.StatusAccepted, "offset")
	w.send(t, large(room+1)).wants(t, "a byte more", http.StatusRequestEntityTooLarge, "1048576 are allowed")
	if n := len(w.stored(t, 1)[0].Value) + len(`,"knativekafkaoffset":"9223372036854775807","knativekafkapartition":2147483647`); n > w.maxEvent {
		t.Errorf("it reaches the function with %d bytes", n)
	}
}

// An event belongs to its own trace, or to that of the request; what is followed
// has what happened here for its parent.
func TestTraces(t *testing.T) {
	t.Parallel()
	receiver := tracetest.New(t)
	for name, test := range map[string]struct {
		sampler, own, header string
		want                 string // the traceparent, or the trace that is followed
		parent               string
	}{
		"own, and off":            {own: followed, want: followed},
		"of the request, and off": {header: followed, want: followed},
		"own":                     {sampler: "parentbased_always_off", own: followed, header: passed, want: followed[3:35], parent: followed[36:52]},
		"of the request":          {sampler: "parentbased_always_off", header: followed, want: followed[3:35], parent: followed[36:52]},
		"not followed":            {sampler: "parentbased_always_on", own: passed, header: followed, want: passed},
		"of no form":              {sampler: "parentbased_always_off", own: "odd", header: "00-0-0-01"},
		"new":                     {sampler: "parentbased_always_on", own: "odd", want: strings.Repeat("?", 32)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := map[string]any{"traceparent": test.own}
			if test.own == "" {
				own = nil
			}
			id := strings.ReplaceAll(name, " ", "-")
			w := newWorld(t, func(c *Config) {
				if test.sampler != "" {
					c.Trace = trace.Config{Endpoint: receiver.URL, Protocol: "http/protobuf", Timeout: 1000, Sampler: test.sampler}
				}
			})
			w.send(t, request{"/v1/events", binding.BatchMedia, batch(structured(id, own)), []string{"traceparent: " + test.header}}).
				wants(t, name, http.StatusAccepted, "offset")
			e := event.ParseStructured(w.stored(t, 1)[0].Value).Event
			if err := w.stop(); err != nil {
				t.Fatal(err)
			}
			spans := slices.DeleteFunc(receiver.Spans(), func(s tracetest.Span) bool { return s.Attributes["cloudevents.event_id"] != id })
			if len(test.want) != 32 {
				if e.TraceParent != test.want || len(spans) != 0 {
					t.Errorf("it has %q, want %q; spans %v", e.TraceParent, test.want, spans)
				}
				return
			}
			if len(spans) != 1 || e.TraceParent != "00-"+spans[0].Trace+"-"+spans[0].ID+"-01" || spans[0].Parent != test.parent || spans[0].Kind != "SERVER" {
				t.Fatalf("it has %q: %+v", e.TraceParent, spans)
			}
			if test.parent != "" && spans[0].Trace != test.want {
				t.Error(spans[0].Trace)
			}
		})
	}
}

const (
	followed = "00-11111111111111111111111111111111-2222222222222222-01"
	passed   = "00-33333333333333333333333333333333-4444444444444444-00"
)
