package trace

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"

	"github.com/cespare/xxhash/v2"
	"go.opentelemetry.io/otel/trace"
)

// Context says where in which trace something is.
type Context = trace.SpanContext

// Identity names an event among all those of Millrace.
type Identity struct{ TenantID, Source, ID string }

// length of a traceparent of version 00; later versions may go on after a dash.
// https://www.w3.org/TR/trace-context/#traceparent-header
const length = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")

// Parse reads a traceparent. What is none gives a Context that is not valid.
func Parse(traceparent string) Context {
	var none Context
	if len(traceparent) < length || traceparent[2] != '-' || traceparent[35] != '-' || traceparent[52] != '-' ||
		strings.ToLower(traceparent[:length]) != traceparent[:length] {
		return none
	}
	var version, flags [1]byte
	var id trace.TraceID
	var parent trace.SpanID
	for _, part := range []struct {
		into []byte
		text string
	}{{version[:], traceparent[:2]}, {id[:], traceparent[3:35]}, {parent[:], traceparent[36:52]}, {flags[:], traceparent[53:55]}} {
		if _, err := hex.Decode(part.into, []byte(part.text)); err != nil {
			return none
		}
	}
	more := len(traceparent) > length
	if version[0] == 0xff || version[0] == 0 && more || more && traceparent[length] != '-' {
		return none
	}
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: id, SpanID: parent, TraceFlags: trace.TraceFlags(flags[0]) & trace.FlagsSampled, Remote: true,
	})
}

// Format writes a traceparent.
func Format(c Context) string {
	id, parent := c.TraceID(), c.SpanID()
	text := append(make([]byte, 0, length), "00-"...)
	text = append(hex.AppendEncode(text, id[:]), '-')
	text = append(hex.AppendEncode(text, parent[:]), "-00"...)
	if c.IsSampled() {
		text[length-1] = '1'
	}
	return string(text)
}

// Follow returns the traceparent of what a function emits because of an event:
// the event's trace, and in it the span of the decision. It is empty if the
// event belongs to no trace.
func Follow(traceparent string, cause Identity, function string) string {
	if traceparent == "" {
		return ""
	}
	c := Parse(traceparent)
	if !c.IsValid() {
		return ""
	}
	return Format(c.WithSpanID(Decision(cause, function)))
}

// Decision returns the id of the span of a function's decision about an event.
func Decision(e Identity, function string) trace.SpanID {
	sum := hash("decision", e, function)
	return trace.SpanID(sum[:8])
}

// origin is the trace of an event that comes without one.
func origin(e Identity) trace.TraceID {
	sum := hash("trace", e, "")
	return trace.TraceID(sum[:16])
}

func hash(of string, e Identity, function string) [sha256.Size]byte {
	var place [256]byte
	buffer := place[:0]
	for _, part := range [...]string{of, e.TenantID, e.Source, e.ID, function} {
		buffer = append(binary.AppendUvarint(buffer, uint64(len(part))), part...)
	}
	return sha256.Sum256(buffer)
}

// chance is a number that follows from an event's identity, evenly spread.
func chance(e Identity) uint64 {
	var place [256]byte
	buffer := place[:0]
	for _, part := range [...]string{e.TenantID, e.Source, e.ID} {
		buffer = append(append(buffer, part...), 0)
	}
	return xxhash.Sum64(buffer)
}
