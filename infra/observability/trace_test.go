package observability

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

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
	receiver := tracetest.New(t)
	p := newProcesses(t)
	p.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.URL
	p.environment["OTEL_TRACES_SAMPLER"] = "parentbased_always_on"
	from, to := p.function(t, trade.New()), p.function(t, ledger.New())
	p.trigger(t, "trade", from)
	p.trigger(t, "ledger", to)
	p.post(t, p.gateway(t)+"/v1/events", "application/cloudevents+json", trade1, http.StatusAccepted)
	p.scrape(t, from, "millrace_relay_rows_finished_total")
	p.scrape(t, to, "millrace_relay_rows_finished_total")
	p.stop() // which sends what is left

	spans := receiver.Spans()
	byID := map[string]tracetest.Span{}
	for _, s := range spans {
		byID[s.ID] = s
		if s.Trace != spans[0].Trace {
			t.Errorf("%s is of another trace", s.Name)
		}
	}
	if got := tree(spans, byID, "", ""); got != want[1:] {
		t.Errorf("got\n%swant%s", got, want)
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
