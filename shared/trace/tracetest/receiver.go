// Package tracetest is an OTLP receiver for tests. It reads what it gets with the
// types made of OpenTelemetry's own definitions.
package tracetest

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Span is one that was received, with ids in hexadecimal.
type Span struct {
	Service, Name      string
	Kind               string // such as CONSUMER
	Trace, ID          string
	Parent             string // empty: it begins its trace
	Links              []string
	Attributes         map[string]string
	Failed             string
	Start, End         time.Time
	Header             http.Header // of the request that brought it
	ResourceAttributes map[string]string
}

// Receiver takes spans.
type Receiver struct {
	URL string

	mu    sync.Mutex
	spans []Span
	more  chan struct{} // closed and replaced when there are more
}

// New starts a receiver that ends with the test.
func New(t testing.TB) *Receiver {
	t.Helper()
	r := &Receiver{more: make(chan struct{})}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

// ServeHTTP takes spans at /v1/traces.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	var content collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &content)
	}
	if err != nil || request.URL.Path != "/v1/traces" || request.Header.Get("Content-Type") != "application/x-protobuf" {
		http.Error(w, fmt.Sprint("no traces: ", err), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, of := range content.GetResourceSpans() {
		resource := map[string]string{}
		for _, a := range of.GetResource().GetAttributes() {
			resource[a.GetKey()] = a.GetValue().GetStringValue()
		}
		for _, scope := range of.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				span := read(s)
				span.Service, span.ResourceAttributes, span.Header = resource["service.name"], resource, request.Header
				r.spans = append(r.spans, span)
			}
		}
	}
	close(r.more)
	r.more = make(chan struct{})
}

func read(s *otlp.Span) Span {
	span := Span{
		Name: s.GetName(), Kind: strings.TrimPrefix(s.GetKind().String(), "SPAN_KIND_"), Failed: s.GetStatus().GetMessage(),
		Trace: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()), Parent: hex.EncodeToString(s.GetParentSpanId()),
		Start: time.Unix(0, int64(s.GetStartTimeUnixNano())), End: time.Unix(0, int64(s.GetEndTimeUnixNano())),
		Attributes: map[string]string{},
	}
	for _, a := range s.GetAttributes() {
		v := a.GetValue()
		span.Attributes[a.GetKey()] = v.GetStringValue()
		if v.GetStringValue() == "" {
			span.Attributes[a.GetKey()] = strings.TrimSpace(v.String()[strings.Index(v.String(), ":")+1:])
		}
	}
	for _, l := range s.GetLinks() {
		span.Links = append(span.Links, hex.EncodeToString(l.GetSpanId()))
	}
	return span
}

// Spans returns what came so far.
func (r *Receiver) Spans() []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Span(nil), r.spans...)
}

// Wait waits until enough says so, and returns what came.
func (r *Receiver) Wait(t testing.TB, enough func([]Span) bool) []Span {
	t.Helper()
	for {
		r.mu.Lock()
		spans, more := append([]Span(nil), r.spans...), r.more
		r.mu.Unlock()
		if enough(spans) {
			return spans
		}
		select {
		case <-more:
		case <-t.Context().Done():
			t.Fatalf("waited in vain; there are %d spans", len(spans))
		}
	}
}
