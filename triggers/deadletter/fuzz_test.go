package deadletter

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/IBM/sarama"
)

// A dead letter has the record as it came, or its beginning; says why once; and
// what it says is bounded.
func FuzzMessage(f *testing.F) {
	f.Add([]byte("value"), "ce_id", []byte("1"), "503", []byte("down"), 5)
	f.Add([]byte{}, "Millrace-Cause", []byte("\xff"), "", bytes.Repeat([]byte("\xff"), 2000), 0)
	f.Fuzz(func(t *testing.T, value []byte, key string, header []byte, code string, data []byte, keep int) {
		l := Letter{
			Topic: "t", Key: header, Value: value, Dest: "http://sink", Origin: "t/0/1",
			Headers: []*sarama.RecordHeader{{Key: []byte(key), Value: header}},
			Cause:   Cause{Reason: "refused", Code: code[:min(len(code), 3)], Data: data},
		}
		keep = max(0, keep)
		m := l.Message(keep)
		if value != nil {
			got, err := m.Value.Encode()
			if err != nil || !bytes.HasPrefix(value, got) || len(got) != min(keep, len(value)) {
				t.Fatalf("%q, %v", got, err)
			}
		}
		seen := map[string]int{}
		for _, h := range m.Headers {
			name := strings.ToLower(string(h.Key))
			seen[name]++
			switch name {
			case "ce_knativeerrordata":
				if decoded, err := base64.StdEncoding.DecodeString(string(h.Value)); err != nil || len(h.Value) > errorDataBytes || !bytes.HasPrefix(data, decoded) {
					t.Errorf("%s %q: %v", name, h.Value, err)
				}
			case "millrace-cause":
				if !utf8.Valid(h.Value) || len(h.Value) > 3*causeBytes+20 {
					t.Errorf("%s %q", name, h.Value)
				}
			}
		}
		for _, name := range []string{"millrace-cause", "millrace-origin", "ce_knativeerrordest", "ce_knativeerrordata"} {
			if seen[name] != 1 {
				t.Errorf("%s comes %d times", name, seen[name])
			}
		}
		if seen["ce_knativeerrorcode"] > 1 {
			t.Errorf("headers %v", seen)
		}
	})
}
