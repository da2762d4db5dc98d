package send

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// maxEvent bounds one event of the input, in bytes; Millrace takes less.
const maxEvent = 16 << 20

// Input is one event as it stands in an input.
type Input struct {
	// Number counts the events of the input, Line its lines, both from 1.
	Number, Line int
	Value        []byte
}

// String says where the event is, and its id if it has one.
func (i Input) String() string {
	place := fmt.Sprintf("line %d, event %d", i.Line, i.Number)
	var e struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(i.Value, &e); err != nil || e.ID == "" {
		return place
	}
	return fmt.Sprintf("%s, id %q", place, e.ID)
}

// Read yields the events of r: a JSON array, or one JSON object after the other
// (JSON lines, or a single event over many lines). It ends with the first error,
// which says where it is.
func Read(r io.Reader) iter.Seq2[Input, error] {
	return func(yield func(Input, error) bool) {
		l := &lines{r: r}
		dec := jsontext.NewDecoder(l, jsontext.AllowDuplicateNames(true))
		in := Input{Number: 1}
		fail := func(err error) {
			offset := dec.InputOffset()
			if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
				offset = syntax.ByteOffset
				err = fmt.Errorf("no JSON: %w (byte %d of the input)", syntax.Err, offset)
			}
			in.Line, in.Value = l.at(offset), nil
			yield(in, fmt.Errorf("%s: %w", in, err))
		}
		inArray := dec.PeekKind() == '['
		if inArray {
			if _, err := dec.ReadToken(); err != nil {
				fail(err)
				return
			}
		}
		for ; !inArray || dec.PeekKind() != ']'; in.Number++ {
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
			in.Line, in.Value = l.at(dec.InputOffset()-int64(len(value))), slices.Clone(value)
			if !yield(in, nil) {
				return
			}
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

// lines passes on what it reads and tells in which line an offset lies.
type lines struct {
	r      io.Reader
	read   int64
	ends   []int64 // of the lines that were read and not yet passed
	passed int
}

func (l *lines) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	for i, b := range p[:n] {
		if b == '\n' {
			l.ends = append(l.ends, l.read+int64(i))
		}
	}
	l.read += int64(n)
	return n, err
}

// at returns the line of an offset, which must not be less than the last one.
func (l *lines) at(offset int64) int {
	for len(l.ends) > 0 && l.ends[0] < offset {
		l.ends = l.ends[1:]
		l.passed++
	}
	return l.passed + 1
}
