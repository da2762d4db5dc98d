package trace

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"math"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Tracer sends spans. A nil Tracer is one that is off: it follows nothing.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	// below is under which chance an event without a traceparent is followed.
	below uint64
	all   bool
}

// Open makes a tracer of a process, or nil if the configuration asks for none.
// It connects to nothing yet; a receiver that is out of reach costs spans, and
// holds up nothing.
func Open(c Config, service string, log *slog.Logger) (*Tracer, error) {
	if c.url() == "" {
		return nil, nil //nolint:nilnil // a nil Tracer is one that is off
	}
	ratio, err := c.ratio()
	if err != nil {
		return nil, err
	}
	sender, err := newExporter(c, log)
	if err != nil {
		return nil, err
	}
	what, err := resource.New(context.Background(),
		resource.WithAttributes(attribute.String("service.name", service)),
		resource.WithTelemetrySDK(),
		resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	t := &Tracer{all: ratio >= 1, below: uint64(ratio * math.MaxUint64)}
	t.provider = sdk.NewTracerProvider(
		sdk.WithBatcher(sender), sdk.WithResource(what),
		sdk.WithSampler(sdk.AlwaysSample()), // who gets here was sampled
		sdk.WithIDGenerator(givenIDs{}))
	t.tracer = t.provider.Tracer("github.com/millrace/millrace")
	return t, nil
}

// Close sends what is left, for at most five seconds.
func (t *Tracer) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // the exporter logs what it cannot send
}

// Follows reports whether an event with this traceparent is followed.
func (t *Tracer) Follows(traceparent string) bool {
	if t == nil || len(traceparent) < length {
		return false
	}
	switch traceparent[length-1] { // the last digit of the flags
	case '1', '3', '5', '7', '9', 'b', 'd', 'f':
		return true
	}
	return false
}

// Adopt reports whether an event that has no traceparent is followed, and if so
// in which trace: a Context without a span, since it begins here.
func (t *Tracer) Adopt(e Identity) (c Context, followed bool) {
	if t == nil || !t.all && chance(e) >= t.below {
		return c, false
	}
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: origin(e), TraceFlags: trace.FlagsSampled}), true
}

// NewSpan returns a place in the trace of parent for a span that is recorded
// later.
func NewSpan(parent Context) Context {
	var id trace.SpanID
	_, _ = rand.Read(id[:]) // it never fails
	return parent.WithSpanID(id).WithTraceFlags(trace.FlagsSampled)
}

// What a span is of, in OpenTelemetry's words.
const (
	Internal = trace.SpanKindInternal
	Server   = trace.SpanKindServer
	Client   = trace.SpanKindClient
	Producer = trace.SpanKindProducer
	Consumer = trace.SpanKindConsumer
)

// SpanID names a span in its trace; zero is none.
type SpanID = trace.SpanID

// Attribute is what a span tells beside its name.
type Attribute = attribute.KeyValue

// String makes an Attribute.
func String(name, value string) Attribute { return attribute.String(name, value) }

// Int makes an Attribute.
func Int(name string, value int64) Attribute { return attribute.Int64(name, value) }

// Span is something that is over.
type Span struct {
	Name string
	Kind trace.SpanKind
	// Context is the span's own place; without a span id it gets a new one.
	Context Context
	// Parent is the id of the span that it belongs to; zero: it begins the trace.
	Parent     SpanID
	Start, End time.Time
	Attributes []Attribute
	Links      []Context
	Failed     string // why, if it did
}

// Record sends a span, as soon as others go.
func (t *Tracer) Record(s Span) {
	if t == nil {
		return
	}
	if !s.Context.SpanID().IsValid() {
		s.Context = NewSpan(s.Context)
	}
	ctx := context.WithValue(context.Background(), idsKey{}, s.Context)
	if s.Parent.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, s.Context.WithSpanID(s.Parent))
	}
	links := make([]trace.Link, len(s.Links))
	for n, l := range s.Links {
		links[n].SpanContext = l
	}
	_, span := t.tracer.Start(ctx, s.Name, trace.WithTimestamp(s.Start), trace.WithSpanKind(s.Kind),
		trace.WithAttributes(s.Attributes...), trace.WithLinks(links...))
	if s.Failed != "" {
		span.SetStatus(codes.Error, s.Failed)
	}
	span.End(trace.WithTimestamp(s.End))
}

// givenIDs takes the ids of a span from the context: they are known before it is
// made.
type givenIDs struct{}

type idsKey struct{}

// NewIDs implements sdk.IDGenerator.
func (givenIDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	c, _ := ctx.Value(idsKey{}).(Context)
	return c.TraceID(), c.SpanID()
}

// NewSpanID implements sdk.IDGenerator.
func (givenIDs) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	c, _ := ctx.Value(idsKey{}).(Context)
	return c.SpanID()
}
