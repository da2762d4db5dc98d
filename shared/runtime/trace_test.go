package runtime

import (
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/binding"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/trace"
	"github.com/millrace/millrace/shared/trace/tracetest"
)

const (
	traceID   = "0af7651916cd43dd8448eb211c80319c"
	sampled   = "00-" + traceID + "-b7ad6b7169203331-01"
	unsampled = "00-" + traceID + "-b7ad6b7169203331-00"
)

// traced has the world's function traced, and returns what ends that and says
// what was sent.
func (w *world) traced(t *testing.T, sampler string) (spans func() map[string]tracetest.Span) {
	t.Helper()
	receiver := tracetest.New(t)
	tracer, err := trace.Open(trace.Config{Endpoint: receiver.URL, Protocol: "http/protobuf", Timeout: 1000, Sampler: sampler},
		"counter", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w.TraceTo(tracer)
	return func() map[string]tracetest.Span {
		tracer.Close()
		named := map[string]tracetest.Span{}
		for _, s := range receiver.Spans() {
			named[strings.Fields(s.Name)[0]+" "+s.Attributes["cloudevents.event_id"]] = s
		}
		return named
	}
}

func following(r event.Received, traceparent string) event.Received {
	r.Event.TraceParent = traceparent
	return r
}

// Each event that is followed has a span, whatever became of it, and a
// transaction is linked with those it decided; the others have none.
func TestTraces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	spans := w.traced(t, "parentbased_always_off")
	w.process(t, following(add("b", "x", 2, 1), sampled), add("p", "z", 0, 1)) // waits for a
	w.process(t,
		following(add("a", "x", 1, 1), unsampled), following(add("n", "y", 0, -1), sampled),
		following(add("n", "y", 0, -1), sampled), following(add("e", "y", 0, 1, "invalid"), sampled))
	got := spans()
	if names := slices.Sorted(maps.Keys(got)); strings.Join(names, ",") != "bury e,decide b,decide n,park b,repeat n,transaction " {
		t.Fatal(names)
	}
	b, n, transaction := got["decide b"], got["decide n"], got["transaction "]
	if want := trace.Decision(trace.Identity{TenantID: "acme", Source: "/test", ID: "b"}, "counter").String(); b.ID != want {
		t.Errorf("the id of a decision is %s, want %s", b.ID, want)
	}
	for name, s := range got {
		if s.Trace != traceID || !strings.HasPrefix(name, "transaction") && s.Parent != "b7ad6b7169203331" {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if n.Attributes["millrace.outcome"] != "refused" || n.Attributes["millrace.reason"] != "negative" || n.Attributes["millrace.version"] != "1" ||
		got["bury e"].Failed != "bad-payload" {
		t.Errorf("%+v %+v", n, got["bury e"])
	}
	// The parked event was decided by the transaction that closed the gap.
	for _, of := range []string{"decide b", "decide n", "repeat n", "bury e"} {
		if !slices.Contains(transaction.Links, got[of].ID) || !slices.Contains(got[of].Links, transaction.ID) {
			t.Errorf("the transaction is not linked with %s", of)
		}
	}
	if !slices.Contains(transaction.Links, transaction.Parent) || transaction.Attributes["millrace.events"] != "5" {
		t.Errorf("%+v", transaction)
	}
	var decided int
	for _, c := range w.offered() {
		decided += len(c.Decisions)
	}
	if decided != 2 {
		t.Errorf("the relay is told of %d decisions", decided)
	}
}

// An event without a traceparent that is followed begins its trace with its
// decision, and its audit row says so.
func TestAdoptedTrace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	spans := w.traced(t, "parentbased_always_on")
	w.process(t, add("a", "x", 0, 1))
	s := spans()["decide a"]
	if s.Parent != "" || s.ID != trace.Decision(trace.Identity{TenantID: "acme", Source: "/test", ID: "a"}, "counter").String() {
		t.Errorf("%+v", s)
	}
	if stored := w.text(t, `SELECT attributes->>'traceparent' FROM millrace.audit`); stored != "00-"+s.Trace+"-"+s.ID+"-01" {
		t.Error(stored)
	}
}

// Deciding again, as after a lost connection, emits the same bytes, traced or
// not.
func TestEmittedTraceFollowsFromItsCause(t *testing.T) {
	t.Parallel()
	fn := newCounter()
	fn.Rules = []function.Rule[counter]{function.On("counter.added.v1",
		func(_ *counter, _ function.Event, p added, fx *function.Effects) error {
			fx.Emit("note.taken.v1", "there", p)
			return nil
		})}
	fn.Save = func(*pgx.Batch, []*function.Entity[counter]) {}
	emitted := func(traceparent string) string {
		cause := following(add("a", "x", 0, 1), traceparent).Event
		payload, err := fn.Decode(cause)
		if err != nil {
			t.Fatal(err)
		}
		fx, err := fn.Decide(fn.NewEntity(function.Head{TenantID: "acme", Subject: "x"}), cause, payload)
		if err != nil {
			t.Fatal(err)
		}
		return fx.Emitted[0].TraceParent
	}
	decision := trace.Decision(trace.Identity{TenantID: "acme", Source: "/test", ID: "a"}, "counter").String()
	for _, test := range []struct{ cause, want string }{
		{sampled, "00-" + traceID + "-" + decision + "-01"},
		{strings.Replace(sampled, "b7ad", "c7ad", 1), "00-" + traceID + "-" + decision + "-01"}, // another delivery
		{unsampled, "00-" + traceID + "-" + decision + "-00"},
		{"", ""}, {"00-1", ""},
	} {
		if got := emitted(test.cause); got != test.want {
			t.Errorf("of %q comes %q, want %q", test.cause, got, test.want)
		}
	}
}

// What is followed when it is asked for over HTTP starts with its arrival.
func TestTraceStartsWithTheRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	spans := w.traced(t, "parentbased_always_on")
	_, url := newIntake(t, w, nil)
	if status, answer := post(t, url, binding.BatchMedia, batchOf(add("a", "x", 0, 1))); status != 202 {
		t.Fatal(status, answer)
	}
	got := spans()
	if decide, transaction := got["decide a"], got["transaction "]; decide.Start.After(transaction.Start) || decide.End.Before(transaction.End) {
		t.Errorf("%+v %+v", decide, transaction)
	}
}

// BenchmarkTraces is what tracing costs an event: of those in 500 that chance
// picks, and what the others cost for not being picked.
func BenchmarkTraces(b *testing.B) {
	for name, ratio := range map[string]float64{"off": -1, "none of them": 0, "1%": 0.01} {
		b.Run(name, func(b *testing.B) {
			p := &Processor{fn: newCounter()}
			if ratio >= 0 {
				tracer, err := trace.Open(trace.Config{Endpoint: tracetest.New(b).URL, Protocol: "http/protobuf", Timeout: 1000,
					Sampler: "parentbased_traceidratio", Ratio: ratio}, "counter", slog.New(slog.DiscardHandler))
				if err != nil {
					b.Fatal(err)
				}
				defer tracer.Close()
				p.tracer = tracer
			}
			started, t := time.Now(), &transaction{}
			for range 500 {
				t.decisions = append(t.decisions, decision{&candidate{event: add("", "x", 0, 1).Event}, Outcome{Kind: Applied}})
			}
			next := 0
			for b.Loop() {
				t.claim.Decisions = nil
				for _, d := range t.decisions {
					next++
					d.event.TraceParent, d.event.ID = "", strconv.Itoa(next)+"-7a51-7cc0-8a4e-1b2c3d4e5f60"
					p.adopt(d.event)
				}
				p.trace(t, &plan{}, started)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(next), "ns/event")
		})
	}
}
