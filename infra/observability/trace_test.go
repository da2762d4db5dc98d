package observability

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/functions/ledger"
	"github.com/millrace/millrace/functions/trade"
	"github.com/millrace/millrace/shared/trace/tracetest"
)

// A trade and its posting are one trace: from the request through both functions,
// with what they share and what they tell. Each line is a span, below
// the one that it belongs to.
const want = `
accept trade.executed.v1 (http)
  deliver trade-events (trade-trigger)
    decide trade.executed.v1 (trade)
      deliver ledger-events (ledger-trigger)
        decide ledger.posted.v1 (ledger)
          show views (ledger)
          transaction (ledger) linked with decide ledger.posted.v1
      emit ledger.posted.v1 (trade)
      emit position.fill-booked.v1 (trade)
      show views (trade)
      transaction (trade) linked with decide trade.executed.v1
`

func TestOneTrace(t *testing.T) {
	t.Parallel()
	p, receiver := traced(t)
	p.tradeToLedger(t, func() {
		p.post(t, p.gateway(t)+"/v1/events", "application/cloudevents+json", trade1, http.StatusAccepted)
	})
	spans := receiver.Spans()
	isOneTrace(t, spans, spans[0].Trace)
	isTree(t, spans, "", want[1:])
}

// tradeToLedger returns when what was sent is told by both functions, and all spans
// are with the receiver.
func (p *processes) tradeToLedger(t *testing.T, send func()) {
	t.Helper()
	from, to := p.function(t, trade.New()), p.function(t, ledger.New())
	p.trigger(t, "trade", from)
	p.trigger(t, "ledger", to)
	send()
	p.scrape(t, from, "millrace_relay_rows_finished_total")
	p.scrape(t, to, "millrace_relay_rows_finished_total")
	p.stop() // which sends what is left
}

// The trace and the span of a producer, which tells of them itself.
const (
	producersTrace = "0af7651916cd43dd8448eb211c80319c"
	producersSpan  = "b7ad6b7169203331"
)

// sendTraced puts trade1 into Kafka as a producer does that has a trace.
func (p *processes) sendTraced(t *testing.T) {
	t.Helper()
	p.send(t, trade1,
		kgo.RecordHeader{Key: "content-type", Value: []byte("application/cloudevents+json")},
		kgo.RecordHeader{Key: "traceparent", Value: []byte("00-" + producersTrace + "-" + producersSpan + "-01")})
}

// A producer of Kafka has begun the trace: what follows is the same, below the
// producer's span.
func TestOneTraceFromKafka(t *testing.T) {
	t.Parallel()
	p, receiver := traced(t)
	p.tradeToLedger(t, func() { p.sendTraced(t) })
	_, delivered, _ := strings.Cut(want[1:], "\n")
	isOneTrace(t, receiver.Spans(), producersTrace)
	isTree(t, receiver.Spans(), producersSpan, strings.ReplaceAll("\n"+delivered, "\n  ", "\n")[1:])
}

// wantSwept is what is left to tell when the function was killed with its outbox
// full: the relay emits. Who knew which decisions Redis shows is dead.
const wantSwept = `
deliver trade-events (trade-trigger)
  decide trade.executed.v1 (trade)
    deliver ledger-events (ledger-trigger)
      decide ledger.posted.v1 (ledger)
        show views (ledger)
        transaction (ledger) linked with decide ledger.posted.v1
    emit ledger.posted.v1 (relay)
    emit position.fill-booked.v1 (relay)
    transaction (trade) linked with decide trade.executed.v1
`

// The function commits, reaches neither Kafka nor Redis, and is killed: the trace
// is in the outbox, and goes on where the relay finds it.
func TestOneTraceThroughTheSweeper(t *testing.T) {
	t.Parallel()
	p, receiver := traced(t)
	address, kill := p.mortal(t)
	trigger := p.trigger(t, "trade", address)
	p.sendTraced(t)
	p.scrape(t, trigger, "millrace_trigger_events_delivered_total")
	receiver.Wait(t, func(spans []tracetest.Span) bool { // its decision, and its transaction
		return len(slices.DeleteFunc(spans, func(s tracetest.Span) bool { return s.Service != "trade" })) == 2
	})
	kill()

	sweeper, stop := p.relay(t)
	p.scrape(t, sweeper, "millrace_relay_rows_finished_total")
	stop() // else it would be a matter of luck who of both tells what ledger decides

	to := p.function(t, ledger.New())
	p.trigger(t, "ledger", to)
	p.scrape(t, to, "millrace_relay_rows_finished_total")
	p.stop()
	isOneTrace(t, receiver.Spans(), producersTrace)
	isTree(t, receiver.Spans(), producersSpan, wantSwept[1:])
}

// traced are processes that tell a receiver of all that they do.
func traced(t *testing.T) (*processes, *tracetest.Receiver) {
	t.Helper()
	receiver := tracetest.New(t)
	p := newProcesses(t)
	p.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.URL
	p.environment["OTEL_TRACES_SAMPLER"] = "parentbased_always_on"
	p.environment["RELAY_OLDER_THAN"] = "0s"
	return p, receiver
}

func isOneTrace(t *testing.T, spans []tracetest.Span, id string) {
	t.Helper()
	for _, s := range spans {
		if s.Trace != id {
			t.Errorf("%s is of another trace", s.Name)
		}
	}
}

// isTree holds all spans to what is below the one that began them.
func isTree(t *testing.T, spans []tracetest.Span, begin, want string) {
	t.Helper()
	byID := map[string]tracetest.Span{}
	for _, s := range spans {
		byID[s.ID] = s
	}
	if got := tree(spans, byID, begin, ""); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if n := strings.Count(want, "\n"); len(spans) != n {
		t.Errorf("there are %d spans, want %d", len(spans), n)
	}
}

// tree draws the spans below a parent.
func tree(spans []tracetest.Span, byID map[string]tracetest.Span, parent, indent string) string {
	var lines strings.Builder
	slices.SortFunc(spans, func(a, b tracetest.Span) int { return cmp.Compare(a.Name, b.Name) })
	for _, s := range spans {
		if s.Parent != parent {
			continue
		}
		fmt.Fprintf(&lines, "%s%s (%s)", indent, s.Name, s.Service)
		if s.Name == "transaction" { // the others are linked with it
			for _, id := range s.Links {
				fmt.Fprintf(&lines, " linked with %s", byID[id].Name)
			}
		}
		lines.WriteString("\n" + tree(slices.Clone(spans), byID, s.ID, indent+"  "))
	}
	return lines.String()
}
