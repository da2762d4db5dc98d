package gateway

import (
	"time"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/trace"
)

// follow gives each event the trace that it belongs to: its own, or that of the
// request, or, if chance has it followed, a new one. Those that are followed get
// a span of their own here, which what comes of them belongs to; done tells
// whether they got where they should.
func (g *Gateway) follow(v *visit, verb string, events []*event.Event) (done func(error)) {
	var spans []trace.Span
	for _, e := range events {
		if s, followed := g.place(e, v.r.Header.Get("Traceparent")); followed {
			s.Name, s.Kind, s.Start = verb+" "+e.Type, trace.Server, v.began
			s.Attributes = []trace.Attribute{
				trace.String("cloudevents.event_id", e.ID), trace.String("cloudevents.event_source", e.Source),
				trace.String("cloudevents.event_subject", e.Subject), trace.String("cloudevents.event_type", e.Type),
				trace.String("millrace.tenant", e.TenantID), trace.String("url.path", v.r.URL.Path),
			}
			spans = append(spans, s)
		}
	}
	return func(err error) {
		for _, s := range spans {
			if s.End = time.Now(); err != nil {
				s.Failed = err.Error()
			}
			g.tracer.Record(s)
		}
	}
}

// place finds an event's place in a trace, and has its traceparent say so.
func (g *Gateway) place(e *event.Event, header string) (s trace.Span, followed bool) {
	parent := trace.Parse(e.TraceParent)
	if !parent.IsValid() {
		if parent = trace.Parse(header); parent.IsValid() {
			e.TraceParent = trace.Format(parent)
		} else {
			e.TraceParent = ""
		}
	}
	begun := parent
	switch {
	case g.tracer.Follows(e.TraceParent):
	case e.TraceParent != "":
		return s, false
	default:
		if begun, followed = g.tracer.Adopt(trace.Identity{TenantID: e.TenantID, Source: e.Source, ID: e.ID}); !followed {
			return s, false
		}
	}
	s.Context, s.Parent = trace.NewSpan(begun), parent.SpanID()
	e.TraceParent = trace.Format(s.Context)
	return s, true
}
