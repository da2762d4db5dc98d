// Package trace follows sampled events through the processes, as OpenTelemetry
// spans that are sent to an OTLP receiver.
//
// One trace is one event and all that follows from it: the request that brought
// it, its delivery by the trigger, its decision, the transaction that the
// decision shared with others, the relay's telling Redis and Kafka, and then the
// same for each emitted event at its own function.
//
//   - An event is followed if its traceparent says so (W3C Trace Context). One
//     without a traceparent is followed if chance has it, by a ratio; the chance
//     follows from the event's identity, so that every process and every delivery
//     comes to the same.
//   - What is not followed costs the look at one byte of its traceparent, or one
//     hash of its identity.
//   - An emitted event is a pure function of its cause, also in its traceparent:
//     it has the trace of the cause and, as its parent, the span of the decision,
//     whose id is a hash. See [Follow]. So deciding again emits the same bytes,
//     whether traces are sent or not.
//   - Spans are made when what they tell of is over and committed. Nothing is
//     held open, so a crash leaves no half of one, and a transaction that is
//     tried again tells only of the attempt that took effect.
//
// The exporter is written by hand (export.go): OpenTelemetry's own links gRPC,
// which makes a function of 20 MB one of 33.
package trace
