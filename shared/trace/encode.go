package trace

import (
	"math"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/protobuf/encoding/protowire"
)

// The numbers of fields are those of ExportTraceServiceRequest and what is in
// it: opentelemetry/proto/collector/trace/v1, trace/v1 and common/v1. The test
// reads what is written here with the types made of those files.

// encode writes spans of one process as a request.
func encode(spans []sdk.ReadOnlySpan) []byte {
	if len(spans) == 0 {
		return nil
	}
	var resource []byte
	for _, a := range spans[0].Resource().Attributes() {
		resource = message(resource, 1, keyValue(a))
	}
	scope := text(nil, 1, spans[0].InstrumentationScope().Name)
	scopeSpans := message(nil, 1, scope)
	for _, s := range spans {
		scopeSpans = message(scopeSpans, 2, span(s))
	}
	resourceSpans := message(nil, 1, resource)
	resourceSpans = message(resourceSpans, 2, scopeSpans)
	return message(nil, 1, resourceSpans)
}

func span(s sdk.ReadOnlySpan) []byte {
	id, own := s.SpanContext().TraceID(), s.SpanContext().SpanID()
	b := message(nil, 1, id[:])
	b = message(b, 2, own[:])
	if parent := s.Parent().SpanID(); parent.IsValid() {
		b = message(b, 4, parent[:])
	}
	b = text(b, 5, s.Name())
	b = number(b, 6, uint64(s.SpanKind())) // the same numbers in both
	b = instant(b, 7, s.StartTime())
	b = instant(b, 8, s.EndTime())
	for _, a := range s.Attributes() {
		b = message(b, 9, keyValue(a))
	}
	b = number(b, 10, uint64(s.DroppedAttributes()))
	for _, l := range s.Links() {
		id, own := l.SpanContext.TraceID(), l.SpanContext.SpanID()
		b = message(b, 13, message(message(nil, 1, id[:]), 2, own[:]))
	}
	b = number(b, 14, uint64(s.DroppedLinks()))
	if s.Status().Code == codes.Error {
		b = message(b, 15, number(text(nil, 2, s.Status().Description), 3, 2))
	}
	b = protowire.AppendTag(b, 16, protowire.Fixed32Type)
	return protowire.AppendFixed32(b, uint32(s.SpanContext().TraceFlags()))
}

func keyValue(a attribute.KeyValue) []byte {
	return message(text(nil, 1, string(a.Key)), 2, value(a.Value))
}

func value(v attribute.Value) []byte {
	switch v.Type() {
	case attribute.INT64:
		b := protowire.AppendTag(nil, 3, protowire.VarintType)
		return protowire.AppendVarint(b, uint64(v.AsInt64()))
	case attribute.FLOAT64:
		b := protowire.AppendTag(nil, 4, protowire.Fixed64Type)
		return protowire.AppendFixed64(b, math.Float64bits(v.AsFloat64()))
	case attribute.BOOL:
		b := protowire.AppendTag(nil, 2, protowire.VarintType)
		return protowire.AppendVarint(b, protowire.EncodeBool(v.AsBool()))
	default: // lists too: nothing here has any
		return message(nil, 1, []byte(v.String()))
	}
}

func message(b []byte, field protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), content)
}

func text(b []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

func number(b []byte, field protowire.Number, n uint64) []byte {
	if n == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), n)
}

func instant(b []byte, field protowire.Number, t time.Time) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, field, protowire.Fixed64Type), uint64(t.UnixNano()))
}
