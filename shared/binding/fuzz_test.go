package binding

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/millrace/millrace/shared/fault"
)

// What a sender encodes as the HTTP binding says comes back, percent signs,
// quotes and all.
func FuzzHeader(f *testing.F) {
	f.Add("plain")
	f.Add(`Euro € 100% "quoted" \`)
	f.Add("\x00\r\n\xff")
	f.Fuzz(func(t *testing.T, value string) {
		_ = decodeHeader(value) // of a sender that encodes nothing
		var encoded strings.Builder
		for i := range len(value) {
			if c := value[i]; c > 0x20 && c < 0x7f && c != '"' && c != '%' {
				encoded.WriteByte(c)
			} else {
				fmt.Fprintf(&encoded, "%%%02X", c)
			}
		}
		if got := decodeHeader(encoded.String()); got != value {
			t.Errorf("%q came back as %q", value, got)
		}
	})
}

// A request has a bounded number of events within their size, or a fault that
// its sender is to blame for.
func FuzzRequest(f *testing.F) {
	f.Add(StructuredMedia, "1.0", "id", []byte(`{"specversion":"1.0","id":"1"}`))
	f.Add(BatchMedia, "", "", []byte(`[{"specversion":"1.0"},7]`))
	f.Add("application/json; charset=utf-8", "1.0", "%41%", []byte(`{}`))
	limits := Limits{BodyBytes: 1 << 20, MaxBodyBytes: 1 << 16, MaxEventBytes: 1 << 10}
	f.Fuzz(func(t *testing.T, media, version, id string, body []byte) {
		rd := NewReader(limits)
		r := &http.Request{Header: http.Header{"Content-Type": {media}}}
		if version != "" {
			r.Header["Ce-Specversion"], r.Header["Ce-Id"] = []string{version}, []string{id}
		}
		received, err := rd.Parse(r, body)
		if err != nil {
			if status := fault.KindOf(err).Status(); status < 400 || status >= 500 {
				t.Fatalf("%d: %v", status, err)
			}
			return
		}
		for _, one := range received {
			if (one.Event == nil) == (one.Err == nil) {
				t.Fatalf("%+v", one)
			}
			if one.Event != nil && len(body) > limits.MaxEventBytes && !bytes.Contains(body, one.Raw) {
				t.Fatalf("an event of a body of %d bytes", len(body))
			}
		}
	})
}
