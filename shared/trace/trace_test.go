package trace

import (
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktest "go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/millrace/millrace/shared/trace/tracetest"
)

const (
	sampled   = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
)

var some = Identity{"acme", "/desk", "t-1"}

func on() Config {
	return Config{Endpoint: "http://127.0.0.1:4318", Protocol: "http/protobuf", Timeout: 1000, Sampler: "parentbased_traceidratio", Ratio: 0.01}
}

func open(t *testing.T, c Config) *Tracer {
	t.Helper()
	tracer, err := Open(c, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return tracer
}

func TestTraceparent(t *testing.T) {
	t.Parallel()
	for _, good := range []string{sampled, unsampled} {
		if got := Format(Parse(good)); got != good {
			t.Errorf("%s became %s", good, got)
		}
	}
	if c := Parse("01" + sampled[2:] + "-more"); !c.IsValid() || !c.IsSampled() {
		t.Error("a later version is read as far as it is known")
	}
	if c := Parse(sampled[:53] + "ff"); Format(c) != sampled {
		t.Error("flags that nobody knows are not passed on")
	}
	for _, bad := range []string{
		"", "00-1", sampled + "-more", "ff" + sampled[2:], strings.ToUpper(sampled), strings.Replace(sampled, "b", "g", 1),
		"01" + sampled[2:] + "more", strings.ReplaceAll(sampled, "-", "_"), strings.Repeat("x", 55),
		"00-00000000000000000000000000000000-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
	} {
		if Parse(bad).IsValid() || Follow(bad, some, "trade") != "" {
			t.Errorf("%q was taken for a traceparent", bad)
		}
	}
}

// What is emitted has its cause's trace, and the decision for its parent: the
// same for ever, so that older decisions can be made again.
func TestFollow(t *testing.T) {
	t.Parallel()
	want := "00-0af7651916cd43dd8448eb211c80319c-" + Decision(some, "trade").String() + "-01"
	if got := Follow(sampled, some, "trade"); got != want || !strings.Contains(got, "-831f792dde5ceb52-") {
		t.Error(got)
	}
	if got := Follow(unsampled, some, "trade"); got != want[:53]+"00" {
		t.Error("what is not followed stays so:", got)
	}
	ids := map[trace.SpanID]bool{}
	for _, id := range []Identity{some, {"acme", "/des", "kt-1"}, {"acm", "e/desk", "t-1"}, {"acme", "/desk", "t-2"}} {
		ids[Decision(id, "trade")] = true
		ids[Decision(id, "ledger")] = true
	}
	if len(ids) != 8 {
		t.Error("two decisions have one id")
	}
}

func TestOff(t *testing.T) {
	t.Parallel()
	disabled := on()
	disabled.Disabled = true
	for _, c := range []Config{{}, disabled} {
		tracer := open(t, c)
		if _, followed := tracer.Adopt(some); tracer != nil || followed || tracer.Follows(sampled) {
			t.Error("it is not off")
		}
		tracer.Record(Span{})
		tracer.Close()
	}
}

// The part that is followed is the ratio, and the same events every time.
func TestAdopt(t *testing.T) {
	t.Parallel()
	adopted := func(c Config) map[string]bool {
		tracer := open(t, c)
		ids := map[string]bool{}
		for n := range 20_000 {
			id := strings.Repeat("t", n%7) + time.Duration(n).String()
			if c, ok := tracer.Adopt(Identity{"acme", "/desk", id}); ok {
				ids[id] = true
				if !c.HasTraceID() || c.HasSpanID() || !c.IsSampled() {
					t.Error(c)
				}
			}
		}
		return ids
	}
	c := on()
	first := adopted(c)
	if n := len(first); n < 140 || n > 260 || !maps.Equal(first, adopted(c)) {
		t.Errorf("%d of 20000 are followed, want about 200, the same each time", n)
	}
	c.Sampler = "parentbased_always_on"
	if n := len(adopted(c)); n != 20_000 {
		t.Error(n)
	}
	c.Sampler = "parentbased_always_off"
	if n := len(adopted(c)); n != 0 {
		t.Error(n)
	}
	if tracer := open(t, c); !tracer.Follows(sampled) || tracer.Follows(unsampled) || tracer.Follows("") {
		t.Error("a traceparent says itself whether it is followed")
	}
}

// What is sent reads back, by the types of OpenTelemetry.
func TestRecord(t *testing.T) {
	t.Parallel()
	receiver := tracetest.New(t)
	c := on()
	c.Endpoint, c.Headers = receiver.URL+"/", "authorization=Bearer%20x, x-tenant=acme"
	tracer := open(t, c)
	start := time.Unix(1_800_000_000, 123)
	parent := Parse(sampled)
	place := parent.WithSpanID(Decision(some, "trade"))
	tracer.Record(Span{
		Name: "decide trade.executed.v1", Kind: trace.SpanKindConsumer, Context: place, Parent: parent.SpanID(),
		Start: start, End: start.Add(time.Millisecond), Links: []Context{NewSpan(parent), NewSpan(parent)}, Failed: "refused",
		Attributes: []attribute.KeyValue{attribute.String("s", "é"), attribute.Int("i", -7), attribute.Bool("b", true), attribute.Float64("f", 1.5)},
	})
	tracer.Record(Span{Name: "root", Context: Context{}.WithTraceID(parent.TraceID()), Start: start, End: start})
	tracer.Close()
	spans := receiver.Spans()
	if len(spans) != 2 {
		t.Fatal(spans)
	}
	s := spans[0]
	if s.Service != "test" || s.Name != "decide trade.executed.v1" || s.Kind != "CONSUMER" || s.Failed != "refused" ||
		s.Trace != "0af7651916cd43dd8448eb211c80319c" || s.ID != place.SpanID().String() || s.Parent != "b7ad6b7169203331" ||
		!s.Start.Equal(start) || !s.End.Equal(start.Add(time.Millisecond)) || len(s.Links) != 2 {
		t.Errorf("%+v", s)
	}
	if want := map[string]string{"s": "é", "i": "-7", "b": "true", "f": "1.5"}; !maps.Equal(s.Attributes, want) {
		t.Error(s.Attributes)
	}
	if s.Header.Get("Authorization") != "Bearer x" || s.Header.Get("X-Tenant") != "acme" || s.ResourceAttributes["telemetry.sdk.language"] != "go" {
		t.Error(s.Header, s.ResourceAttributes)
	}
	if r := spans[1]; r.Parent != "" || r.Trace != s.Trace || len(r.ID) != 16 {
		t.Errorf("%+v", r)
	}
}

// A receiver that fails costs spans, and one line in the log.
func TestReceiverFails(t *testing.T) {
	t.Parallel()
	var status int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	defer server.Close()
	var logs strings.Builder
	c := on()
	c.Endpoint = server.URL
	x, err := newExporter(c, slog.New(slog.NewTextHandler(&logs, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for _, status = range []int{http.StatusForbidden, http.StatusForbidden, http.StatusOK} {
		if err := x.ExportSpans(t.Context(), sdktest.SpanStubs{{Name: "one"}}.Snapshots()); err != nil {
			t.Error(err)
		}
	}
	if err := x.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if text := logs.String(); strings.Count(text, "spans are lost") != 1 || strings.Count(text, "works again\" lost=2") != 1 {
		t.Error(text)
	}
}

func TestConfigNamesAllThatIsWrong(t *testing.T) {
	t.Parallel()
	c := Config{Endpoint: "collector:4317", Protocol: "grpc", Sampler: "jaeger_remote", Headers: "x", Certificate: "/nowhere"}
	err := c.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"_ENDPOINT", "_PROTOCOL", "_TIMEOUT", "_SAMPLER", "_HEADERS", "_CERTIFICATE"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named in: %v", want, err)
		}
	}
	c = on()
	c.Ratio = 2
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "_SAMPLER_ARG") {
		t.Error(err)
	}
	c = Config{Protocol: "grpc"}
	if err := c.Validate(); err != nil {
		t.Error("nothing is sent, so nothing is wrong:", err)
	}
	c = on()
	c.TracesEndpoint = "https://tempo/otlp"
	if c.url() != c.TracesEndpoint || c.Validate() != nil {
		t.Error(c.url())
	}
}

func BenchmarkUnsampled(b *testing.B) {
	tracer, err := Open(on(), "bench", slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("flag", func(b *testing.B) {
		for b.Loop() {
			_ = tracer.Follows(unsampled)
		}
	})
	b.Run("chance", func(b *testing.B) {
		for b.Loop() {
			_, _ = tracer.Adopt(Identity{"tenant-00017", "/exchange/fills", "0190f3c2-7a51-7cc0-8a4e-1b2c3d4e5f60"})
		}
	})
	b.Run("follow", func(b *testing.B) {
		for b.Loop() {
			_ = Follow(sampled, Identity{"tenant-00017", "/exchange/fills", "0190f3c2-7a51-7cc0-8a4e-1b2c3d4e5f60"}, "trade")
		}
	})
}
