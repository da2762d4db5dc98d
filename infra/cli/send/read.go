package send

import (
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/go-json-experiment/json/jsontext"
)

// maxEvent bounds one event of the input, in bytes; Millrace takes less.
const maxEvent = 16 << 20

// Read yields the events of r as they stand there: a JSON array, or one JSON
// object after the other (JSON lines, or a single event over many lines).
func Read(r io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		dec := jsontext.NewDecoder(r, jsontext.AllowDuplicateNames(true))
		n := 0
		fail := func(err error) {
			yield(nil, fmt.Errorf("event %d, at byte %d of the input: %w", n+1, dec.InputOffset(), err))
		}
		inArray := dec.PeekKind() == '['
		if inArray {
			if _, err := dec.ReadToken(); err != nil {
				fail(err)
				return
			}
		}
		for !inArray || dec.PeekKind() != ']' {
			value, err := dec.ReadValue()
			if errors.Is(err, io.EOF) && !inArray {
				return
			}
			if err == nil {
				err = checkValue(value)
			}
			if err != nil {
				fail(err)
				return
			}
			if !yield(append([]byte(nil), value...), nil) {
				return
			}
			n++
		}
	}
}

func checkValue(value jsontext.Value) error {
	switch {
	case value.Kind() != '{':
		return fmt.Errorf("want a JSON object, one CloudEvent, and got %s", value.Kind())
	case len(value) > maxEvent:
		return fmt.Errorf("it has %d bytes, more than %d", len(value), maxEvent)
	default:
		return nil
	}
}
