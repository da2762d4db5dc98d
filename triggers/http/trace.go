package gateway

import (
	"crypto/rand"
	"encoding/hex"
	"regexp"

	"github.com/millrace/millrace/shared/event"
)

// traceParent is the form of version 00, which later versions keep to.
// https://www.w3.org/TR/trace-context/#traceparent-header
var traceParent = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$`)

const (
	noTrace = "00000000000000000000000000000000"
	noSpan  = "0000000000000000"
)

// trace gives an event the trace that it belongs to: its own, that of the
// request, or a new one.
func trace(e *event.Event, header string) {
	switch {
	case validTrace(e.TraceParent):
	case validTrace(header):
		e.TraceParent = header
	default:
		e.TraceParent = newTrace()
	}
}

func validTrace(text string) bool {
	return traceParent.MatchString(text) && text[:2] != "ff" && text[3:35] != noTrace && text[36:52] != noSpan
}

func newTrace() string {
	var ids [24]byte
	_, _ = rand.Read(ids[:]) // it never fails
	return "00-" + hex.EncodeToString(ids[:16]) + "-" + hex.EncodeToString(ids[16:]) + "-01"
}
