package bench

import (
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/infra/traffic"
	"github.com/millrace/millrace/shared/event"
)

func TestParseStat(t *testing.T) {
	t.Parallel()
	const line = "4711 (a (b) c) S 12 4711 4711 0 -1 4194304 1 2 3 4 150 50 20 5 20 0 1 0 100 1 1"
	s, err := parseStat(line)
	if err != nil || s.parent != 12 || s.own != 2 || s.reaped != 0.25 {
		t.Errorf("%+v, error %v", s, err)
	}
	for _, bad := range []string{"", "1 (a) S 1", "1 (a) S x 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"} {
		if _, err := parseStat(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func latencyOf(ms ...int) *Latency {
	var probes []*probe
	for _, n := range ms {
		took := time.Duration(n) * time.Millisecond
		probes = append(probes, &probe{event: &event.Event{Type: "trade.executed.v1"}, committed: took, visible: 2 * took})
	}
	l := &Latency{Rate: 50, Asked: 50}
	l.add(probes)
	return l
}

func TestMedianAndReport(t *testing.T) {
	t.Parallel()
	cpu := func(trade, redis float64) []Usage { return []Usage{{"trade", trade}, {"Redis", redis}} }
	runs := []Result{
		{Sent: 100, Decided: 300, Seconds: 3, CPU: cpu(9, 0.5), Latency: latencyOf(7), CPUs: 2, Load: "0.1", Postgres: "PostgreSQL 15"},
		{Sent: 100, Decided: 300, Seconds: 2, CPU: cpu(1, 0.5), Latency: latencyOf(1, 2, 3, 4, 100)},
		{Sent: 100, Decided: 300, Seconds: 1, CPU: cpu(1, 0.1), Latency: latencyOf(2)},
	}
	s := traffic.Defaults()
	if err := s.Only("trade"); err != nil {
		t.Fatal(err)
	}
	r := Report{Traffic: describe(s), Runs: runs, Median: median(runs)}
	text := r.String()
	for _, want := range []string{
		"Median of 3 runs: 100 events and the 200 that follow, settled in 2.00 s",
		"      50 events/s from Kafka\n       150 events/s decided",
		"trade 100 %; 20 tenants of 100 entities, skew 1, no sequences, seed 1",
		"trade                              1.00       0.50          10000.0             3333.3",
		"all                                1.50       0.75          15000.0             5000.0",
		"trade                   1          3       7       7            6      14      14",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	runs[0].Latency.Asked = 100
	if text := (&Report{Runs: runs[:1], Median: runs[0]}).String(); !strings.Contains(text, "It should have been 100 events/s") {
		t.Errorf("it does not say that it could not keep the rate: %s", text)
	}
}

// TestEveryFamilyHasProbes: Redis shows something of the first event of each
// family that there is traffic of.
func TestEveryFamilyHasProbes(t *testing.T) {
	t.Parallel()
	for family := range traffic.Defaults().Mix {
		s := traffic.Defaults()
		s.Start = time.Now()
		if err := s.Only(family); err != nil {
			t.Fatal(err)
		}
		g, err := traffic.New(s)
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			if _, err := newProbe(g.Fresh().Event); err != nil {
				t.Errorf("%s: %v", family, err)
			}
		}
	}
}
