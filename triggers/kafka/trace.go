package kafka

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/millrace/millrace/shared/trace"
)

const traceExtension = "traceparent"

// traces is the part of a converter that looks for events to follow. While it
// is on, an event's traceparent is held back and written last: with the delivery
// as the parent if the event is followed, as it was if not.
type traces struct {
	tracer      *trace.Tracer
	traceparent []byte // of the event, or else of the record
	source, id  []byte // of the event

	place  trace.Context // of the delivery; not valid: it is not followed
	parent trace.SpanID  // zero: the trace begins here
}

// traceTo turns it on, unless what is set on every event is the traceparent
// itself.
func (c *converter) traceTo(t *trace.Tracer) {
	if !c.replaces([]byte(traceExtension)) {
		c.tracer = t
	}
}

func (c *traces) reset() {
	c.traceparent, c.source, c.id = c.traceparent[:0], c.source[:0], c.id[:0]
	c.place, c.parent = trace.Context{}, trace.SpanID{}
}

// hold takes what a trace needs to know of an attribute, and reports whether it
// is the traceparent.
func (c *traces) hold(name, value []byte) bool {
	if c.tracer == nil {
		return false
	}
	switch string(name) {
	case traceExtension:
		c.traceparent = append(c.traceparent[:0], value...)
		return true
	case "source":
		c.source = append(c.source[:0], value...)
	case "id":
		c.id = append(c.id[:0], value...)
	}
	return false
}

// appendTrace writes the traceparent, if the event has one or is followed.
func (c *traces) appendTrace(dst []byte, tenant []byte) []byte {
	if c.tracer == nil {
		return dst
	}
	if text := string(c.traceparent); c.tracer.Follows(text) {
		if parent := trace.Parse(text); parent.IsValid() {
			c.place, c.parent = trace.NewSpan(parent), parent.SpanID()
		}
	} else if text == "" {
		if begun, followed := c.tracer.Adopt(trace.Identity{TenantID: string(tenant), Source: string(c.source), ID: string(c.id)}); followed {
			c.place = trace.NewSpan(begun)
		}
	}
	traceparent := c.traceparent
	if c.place.IsValid() {
		traceparent = []byte(trace.Format(c.place))
	}
	if len(traceparent) == 0 {
		return dst
	}
	dst = append(dst, `,"`+traceExtension+`":`...)
	dst, _ = jsontext.AppendQuote(dst, traceparent) // what is no UTF-8 comes out as U+FFFD
	return dst
}

// delivery is a record that is followed, from when it was read.
type delivery struct {
	place  trace.Context
	parent trace.SpanID
	read   time.Time
}

// delivery returns that of the event converted last, or nil if it is not
// followed.
func (c *traces) delivery() *delivery {
	if !c.place.IsValid() {
		return nil
	}
	return &delivery{c.place, c.parent, time.Now()}
}

// trace tells that a record is done.
func (w *window) trace(r *record) {
	if r.delivery == nil {
		return
	}
	span := trace.Span{
		Name: "deliver " + r.claim.topic, Kind: trace.Consumer, Context: r.delivery.place, Parent: r.delivery.parent,
		Start: r.delivery.read, End: time.Now(),
		Attributes: []trace.Attribute{
			trace.String("messaging.system", "kafka"), trace.String("messaging.destination.name", r.claim.topic),
			trace.Int("messaging.destination.partition.id", int64(r.claim.partition)), trace.Int("messaging.kafka.offset", r.offset),
		},
	}
	if r.fault != nil {
		span.Failed = r.fault.Reason
	}
	w.tracer.Record(span)
}
