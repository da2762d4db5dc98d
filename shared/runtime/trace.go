package runtime

import (
	"time"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/trace"
)

// TraceTo has spans sent of what p decides, if t is not nil. It belongs before
// the first event.
func (p *Processor) TraceTo(t *trace.Tracer) { p.tracer = t }

// adopt gives an event without a traceparent one if chance has it followed: its
// trace begins with its decision. It is stored with the event, so what is emitted
// follows from what is stored.
func (p *Processor) adopt(e *event.Event) {
	if p.tracer == nil || e == nil || e.TraceParent != "" {
		return
	}
	if c, followed := p.tracer.Adopt(identityOf(e)); followed {
		e.TraceParent = trace.Format(c.WithSpanID(trace.Decision(identityOf(e), p.fn.FunctionName())))
	}
}

func identityOf(e *event.Event) trace.Identity {
	return trace.Identity{TenantID: e.TenantID, Source: e.Source, ID: e.ID}
}

// traced is the spans of a transaction: one for each event that is followed, and
// one for the transaction that they share, which belongs to the first of them
// and is linked with all.
type traced struct {
	*Processor
	started, ended time.Time
	transaction    trace.Context
	events         []trace.Context
}

// trace tells of a transaction that is committed.
func (p *Processor) trace(t *transaction, plan *plan, started time.Time) {
	if p.tracer == nil {
		return
	}
	s := &traced{Processor: p, started: started, ended: time.Now()}
	for _, d := range t.decisions {
		if c, ok := s.add("decide ", d.candidate); ok {
			t.claim.Decisions = append(t.claim.Decisions, c)
		}
	}
	for _, d := range plan.duplicates {
		s.add("repeat ", d.candidate)
	}
	for _, parked := range [][]*candidate{plan.park, plan.waiting} {
		for _, c := range parked {
			s.add("park ", c)
		}
	}
	for _, d := range plan.dead {
		s.add("bury ", d.candidate)
	}
	if len(s.events) > 0 {
		p.tracer.Record(trace.Span{
			Name: "transaction", Kind: trace.Internal, Context: s.transaction, Parent: s.events[0].SpanID(),
			Start: started, End: s.ended, Links: s.events,
			Attributes: []trace.Attribute{
				trace.String("millrace.function", p.fn.FunctionName()), trace.Int("millrace.events", int64(t.events(plan))),
			},
		})
	}
}

// add tells of an event, if it is followed, and returns its span.
func (s *traced) add(verb string, c *candidate) (span trace.Context, followed bool) {
	if c.event == nil || !s.tracer.Follows(c.event.TraceParent) {
		return span, false
	}
	parent := trace.Parse(c.event.TraceParent)
	if !parent.IsValid() {
		return span, false
	}
	span = trace.NewSpan(parent)
	decision := parent.WithSpanID(trace.Decision(identityOf(c.event), s.fn.FunctionName()))
	if c.outcome.Kind == Applied || c.outcome.Kind == Refused {
		span = decision
	}
	if len(s.events) == 0 {
		s.transaction = trace.NewSpan(span)
	}
	s.events = append(s.events, span)
	told := trace.Span{
		Name: verb + c.event.Type, Kind: trace.Consumer, Context: span, Parent: parent.SpanID(),
		Start: s.started, End: s.ended, Links: []trace.Context{s.transaction}, Attributes: s.attributes(c),
	}
	if parent.SpanID() == decision.SpanID() { // adopted here
		told.Parent = trace.SpanID{}
	}
	if c.request != nil {
		told.Start = c.request.arrived
	}
	if c.outcome.Kind == DeadLettered {
		told.Failed = c.outcome.Reason
	}
	s.tracer.Record(told)
	return span, true
}

// attributes are OpenTelemetry's for CloudEvents, and ours.
func (s *traced) attributes(c *candidate) []trace.Attribute {
	return []trace.Attribute{
		trace.String("cloudevents.event_id", c.event.ID), trace.String("cloudevents.event_source", c.event.Source),
		trace.String("cloudevents.event_subject", c.event.Subject), trace.String("cloudevents.event_type", c.event.Type),
		trace.String("millrace.function", s.fn.FunctionName()), trace.String("millrace.tenant", c.event.TenantID),
		trace.String("millrace.outcome", string(c.outcome.Kind)), trace.String("millrace.reason", c.outcome.Reason),
		trace.Int("millrace.version", c.outcome.Version),
	}
}
