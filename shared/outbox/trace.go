package outbox

import (
	"time"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/trace"
)

// traceShown tells that Redis shows what decisions that are followed led to. A
// swept row does not know of them any more.
func (r *Relay) traceShown(w *work) {
	for _, decision := range w.Decisions {
		r.cfg.Tracer.Record(trace.Span{
			Name: "show views", Kind: trace.Client, Context: trace.NewSpan(decision), Parent: decision.SpanID(),
			Start: w.committed, End: time.Now(),
			Attributes: []trace.Attribute{trace.String("millrace.function", w.Function), trace.Int("millrace.outbox_row", w.ID)},
		})
	}
}

// traceEmitted tells that Kafka has an emitted event that is followed: its
// traceparent names the decision.
func (r *Relay) traceEmitted(e *event.Event, started time.Time) {
	if !r.cfg.Tracer.Follows(e.TraceParent) {
		return
	}
	decision := trace.Parse(e.TraceParent)
	r.cfg.Tracer.Record(trace.Span{
		Name: "emit " + e.Type, Kind: trace.Producer, Context: trace.NewSpan(decision), Parent: decision.SpanID(),
		Start: started, End: time.Now(),
		Attributes: []trace.Attribute{
			trace.String("cloudevents.event_id", e.ID), trace.String("cloudevents.event_source", e.Source),
			trace.String("cloudevents.event_type", e.Type), trace.String("millrace.tenant", e.TenantID),
		},
	})
}
