package kafka

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/shared/trace"
	"github.com/millrace/millrace/shared/trace/tracetest"
)

const (
	traceID   = "0af7651916cd43dd8448eb211c80319c"
	sampled   = "00-" + traceID + "-b7ad6b7169203331-01"
	unsampled = "00-" + traceID + "-b7ad6b7169203331-00"
	adopted   = "c04a9bb73c687c1052590d206fe4115b" // follows from the identity
)

func tracing(endpoint, sampler string) trace.Config {
	return trace.Config{Endpoint: endpoint, Protocol: "http/protobuf", Timeout: 1000, Sampler: sampler}
}

// An event that is followed names its delivery as the parent; any other one is
// what it was.
func TestConvertTraces(t *testing.T) {
	t.Parallel()
	structured := func(members string) *sarama.ConsumerMessage {
		return message([]byte(`{"specversion":"1.0",`+members+`"id":"1","source":"/s","type":"t"}`), "content-type", "application/cloudevents+json")
	}
	binary := func(headers ...string) *sarama.ConsumerMessage {
		return message([]byte{}, append(minimal[:8:8], headers...)...)
	}
	for name, test := range map[string]struct {
		m        *sarama.ConsumerMessage
		always   bool
		followed string // by which trace; empty: not at all
		parent   string
		want     string // the traceparent, if it is not followed
	}{
		"binary, sampled":          {m: binary("ce_traceparent", sampled), followed: traceID, parent: "b7ad6b7169203331"},
		"binary, not sampled":      {m: binary("ce_traceparent", unsampled), always: true, want: unsampled},
		"binary, none":             {m: binary()},
		"binary, adopted":          {m: binary(), always: true, followed: adopted, parent: "0000000000000000"},
		"binary, of no form":       {m: binary("ce_traceparent", "00-1"), always: true, want: "00-1"},
		"of the record":            {m: binary("traceparent", sampled), followed: traceID, parent: "b7ad6b7169203331"},
		"the event's goes first":   {m: binary("ce_traceparent", unsampled, "traceparent", sampled), want: unsampled},
		"structured, sampled":      {m: structured(`"traceparent":"` + sampled + `",`), followed: traceID, parent: "b7ad6b7169203331"},
		"structured, escaped":      {m: structured(`"tracep\u0061rent":"` + sampled + `",`), followed: traceID, parent: "b7ad6b7169203331"},
		"structured, not sampled":  {m: structured(`"traceparent":"` + unsampled + `",`), want: unsampled},
		"structured, none":         {m: structured("")},
		"structured, null":         {m: structured(`"traceparent":null,`)},
		"structured, adopted":      {m: structured(""), always: true, followed: adopted, parent: "0000000000000000"},
		"structured, adopted, too": {m: structured(`"traceparent":"",`), always: true, followed: adopted, parent: "0000000000000000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sampler := "parentbased_always_off"
			if test.always {
				sampler = "parentbased_always_on"
			}
			tracer, err := trace.Open(tracing("http://127.0.0.1:1", sampler), "test", slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			c := newConverter(nil)
			c.traceTo(tracer)
			got, _, err := c.convert(nil, test.m)
			if err != nil {
				t.Fatal(err)
			}
			want := test.want
			if d := c.delivery(); d == nil && test.followed != "" || d != nil && (d.place.TraceID().String() != test.followed || d.parent.String() != test.parent) {
				t.Errorf("followed as %v", d)
			} else if d != nil {
				want = trace.Format(d.place)
			}
			if found := strings.Count(string(got), "traceparent"); want == "" && found > 0 || want != "" && (found != 1 || !strings.Contains(string(got), `"traceparent":"`+want+`"`)) {
				t.Errorf("%s has not the traceparent %q", got, want)
			}
		})
	}
}

// What K_CE_OVERRIDES sets stays as it is set.
func TestOverriddenTraces(t *testing.T) {
	t.Parallel()
	tracer, err := trace.Open(tracing("http://127.0.0.1:1", "parentbased_always_on"), "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c := newConverter(map[string]string{"traceparent": sampled})
	c.traceTo(tracer)
	got, _, err := c.convert(nil, message([]byte{}, append(minimal[:8:8], "ce_traceparent", unsampled)...))
	if err != nil || strings.Count(string(got), "traceparent") != 1 || !strings.Contains(string(got), sampled) || c.delivery() != nil {
		t.Error(string(got), err)
	}
}

// A delivery is told when it is over, also when it ends among the dead letters.
func TestDeliveriesAreTold(t *testing.T) {
	t.Parallel()
	receiver := tracetest.New(t)
	cluster := newCluster(t, 1)
	sink := newSinkServer(t, nil)
	cfg := testConfig(cluster, sink.URL)
	cfg.Trace = tracing(receiver.URL, "parentbased_always_off")
	trigger := start(t, cfg)
	followed := manyRecords(1, 2)
	followed[0].Headers = append(followed[0].Headers, kgo.RecordHeader{Key: "ce_traceparent", Value: []byte(sampled)})
	produce(t, cluster, followed...)
	sink.want(cluster, 1, 2, 2)
	trigger.stop(t)
	spans := receiver.Spans()
	if len(spans) != 1 {
		t.Fatal(spans)
	}
	if s := spans[0]; s.Name != "deliver trade-events" || s.Trace != traceID || s.Parent != "b7ad6b7169203331" || s.Service != "test" ||
		s.Attributes["messaging.destination.partition.id"] != "0" || s.Failed != "" {
		t.Errorf("%+v", s)
	}
}
