package send

import (
	"bytes"
	"encoding/json"
	"testing"
)

// What is read are JSON objects, each on the line where it begins. Where there is
// an error, the rest is not read, and it names a line of the input.
func FuzzRead(f *testing.F) {
	f.Add([]byte("[{\"id\":\"a\"},\n\n {}]"))
	f.Add([]byte("{\"id\":\n\"a\"}{}\n7"))
	f.Add([]byte("[{}\n,"))
	f.Add([]byte("{}]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		rest, line, number := text, 1, 0
		for in, err := range Read(bytes.NewReader(text)) {
			if number++; in.Number != number || in.Line < line || in.Line > 1+bytes.Count(text, []byte("\n")) {
				t.Fatalf("%v follows %d events and line %d", in, number-1, line)
			}
			if err != nil {
				rest = nil
				continue
			}
			at := bytes.Index(rest, in.Value)
			if rest == nil || at < 0 || in.Value[0] != '{' || !json.Valid(in.Value) {
				t.Fatalf("%q is no event of what is left", in.Value)
			}
			if line += bytes.Count(rest[:at], []byte("\n")); in.Line != line {
				t.Fatalf("%q is on line %d, not %d", in.Value, line, in.Line)
			}
			rest = rest[at+len(in.Value):]
			line += bytes.Count(in.Value, []byte("\n"))
		}
	})
}
