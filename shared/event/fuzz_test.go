package event

import (
	"maps"
	"slices"
	"strings"
	"testing"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// The SDK for Go reads the same of an event in JSON, wherever both take it.
func FuzzParseStructured(f *testing.F) {
	f.Add([]byte(`{` + minimal + `,"data":{"a":[1,"\u00e9"]},"x":true,"n":null}`))
	f.Add([]byte(`{` + minimal + `,"datacontenttype":"text/plain","data_base64":"AA==","sequence":"7"}`))
	f.Add([]byte(`{"specversion":"1.0","id":"\ud83d\ude00","source":"/s","type":"t","time":"2026-01-01T00:00:00.123456789+02:00","x1":-5}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if v := jsontext.Value(Envelope(raw)); !v.IsValid(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)) || v.Kind() != '{' {
			t.Fatalf("envelope %s", v)
		}
		if n := len(Attributes(raw)); n > 2*MaxExtras {
			t.Fatalf("%d attributes", n)
		}
		r := ParseStructured(raw)
		if (r.Event == nil) == (r.Err == nil) || r.Err != nil && AsInvalid(r.Err) == nil {
			t.Fatalf("%+v", r)
		}
		bySDK := cloudevents.NewEvent()
		if r.Err != nil || r.Event.Validate(now) != nil || bySDK.UnmarshalJSON(raw) != nil {
			return
		}
		e := r.Event
		if got, want := [5]string{e.ID, e.Source, e.Type, e.Subject, e.ContentType},
			[5]string{bySDK.ID(), bySDK.Source(), bySDK.Type(), bySDK.Subject(), bySDK.DataContentType()}; got != want {
			t.Errorf("%q, by the SDK %q", got, want)
		}
		if text, ok := bySDK.Extensions()["tenantid"].(string); ok && text != e.TenantID {
			t.Errorf("tenant %q, by the SDK %q", e.TenantID, text)
		}
		if e.Time.Sub(bySDK.Time()).Abs() > 1000 {
			t.Errorf("time %v, by the SDK %v", e.Time, bySDK.Time())
		}
	})
}

// An event in binary mode is the same event in JSON.
func FuzzParseBinary(f *testing.F) {
	f.Add("1", "/s", "t", "subject", "acme", "x1", "7", "application/json", []byte(`{"a":1}`))
	f.Add("\xff", "", "data", "", "", "sequence", "07", "text/plain; charset=x", []byte("\x00"))
	f.Fuzz(func(t *testing.T, id, source, kind, subject, tenant, name, value, contentType string, data []byte) {
		r := ParseBinary(map[string]string{
			"specversion": "1.0", "id": id, "source": source, "type": kind, "subject": subject, "tenantid": tenant,
			"time": now.Format("2006-01-02T15:04:05Z07:00"), name: value,
		}, contentType, data)
		if r.Err != nil || r.Event.Validate(now) != nil {
			return
		}
		again := ParseStructured(r.Raw)
		if again.Err != nil {
			t.Fatalf("%s: %v", r.Raw, again.Err)
		}
		if diff := cmp.Diff(r.Event, again.Event, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%s\n%s", r.Raw, diff)
		}
		if r.Event.Digest() != again.Event.Digest() {
			t.Fatal("the digest changed")
		}
		said := Attributes(r.Raw)
		for name, value := range r.Event.Extensions {
			if len(said) < 2*MaxExtras && said[name] != value {
				t.Errorf("attribute %s is %q, not %q", name, said[name], value)
			}
		}
		if names := slices.Sorted(maps.Keys(said)); strings.Contains(strings.Join(names, " "), "data_base64") {
			t.Errorf("attributes %q", names)
		}
	})
}
