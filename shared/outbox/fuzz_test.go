package outbox

import (
	"reflect"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/millrace/millrace/shared/event"
)

// A claim comes back from its row as it went in.
func FuzzRow(f *testing.F) {
	f.Add("acme", "account-1", "exposure", int64(7), `{"a":"1.10"}`, []byte(`{"entities":[{"tenant":"t","version":1}]}`), []byte(`[]`))
	f.Add("}{", "\u2028", "<&>", int64(-1), `"\ud83d\ude00"`, []byte(`{"aggregates":null}`), []byte(`[{"specversion":"1.0"}]`))
	f.Fuzz(func(t *testing.T, tenant, subject, name string, version int64, data string, dirty, emitted []byte) {
		for _, odd := range []row{{Dirty: dirty}, {Drain: dirty}, {Emitted: emitted}} {
			if c, err := odd.claim(); err == nil && len(c.Emitted) != len(c.encoded) {
				t.Fatalf("%d events, %d encoded", len(c.Emitted), len(c.encoded))
			}
		}
		e := &event.Event{
			TenantID: tenant, Source: "/millrace/trade/" + subject, ID: name, Type: "trade.told.v1", Subject: subject,
			Time: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), Sequence: max(version, 0), IsJSON: true, ContentType: "application/json", Data: []byte(data),
		}
		parsed := event.ParseStructured(event.AppendJSON(nil, e))
		if !utf8.ValidString(tenant+subject+name) || parsed.Err != nil || e.Validate(e.Time) != nil {
			return
		}
		want := Claim{
			Entities: []Entity{{tenant, subject, version}}, Aggregates: []Aggregate{{tenant, name, subject}},
			Drain: []Stream{{TenantID: tenant, Source: name}}, Emitted: []*event.Event{parsed.Event, parsed.Event},
		}
		text, err := jsonText(Dirty{Entities: want.Entities, Aggregates: want.Aggregates})
		if err != nil {
			t.Fatal(err)
		}
		drain, err := jsonText(want.Drain)
		if err != nil {
			t.Fatal(err)
		}
		array, _ := encodeEvents(want.Emitted)
		r := row{Dirty: []byte(*text), Drain: []byte(*drain), Emitted: array}
		got, err := r.claim()
		if err != nil {
			t.Fatalf("%s, %s, %s: %v", *text, *drain, array, err)
		}
		if !reflect.DeepEqual(got.Entities, want.Entities) || !reflect.DeepEqual(got.Aggregates, want.Aggregates) ||
			!reflect.DeepEqual(got.Drain, want.Drain) || !reflect.DeepEqual(got.Emitted, want.Emitted) {
			t.Errorf("%+v\ncame back as\n%+v", want, got)
		}
	})
}
