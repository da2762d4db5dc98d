package bench

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// String is the report for people.
func (r *Report) String() string {
	var out strings.Builder
	m := &r.Median
	fmt.Fprintf(&out, "Median of %d runs: %d events and the %d that follow, settled in %.2f s\n\n",
		len(r.Runs), m.Sent, m.Decided-m.Sent, m.Seconds)
	fmt.Fprintf(&out, "  %8.0f events/s from Kafka\n  %8.0f events/s decided, with those that follow\n\n", m.perSecond(m.Sent), m.perSecond(m.Decided))
	fmt.Fprintf(&out, "%s\n%d CPUs, %s, %s, load average before: %s\n\n", r.Traffic.String(), m.CPUs, m.Go, m.Postgres, m.Load)
	m.writeCPU(&out)
	if m.Latency != nil {
		m.Latency.write(&out)
	}
	return out.String()
}

// String says in one line what was sent.
func (t *Traffic) String() string {
	var mix []string
	total := 0.0
	for _, weight := range t.Mix {
		total += weight
	}
	for _, family := range slices.Sorted(maps.Keys(t.Mix)) {
		mix = append(mix, fmt.Sprintf("%s %.0f %%", family, 100*t.Mix[family]/total))
	}
	numbered := "no sequences"
	if t.Sequences {
		numbered = "sequences"
	}
	return fmt.Sprintf("%s; %d tenants of %d entities, skew %g, %s, seed %d", strings.Join(mix, ", "), t.Tenants, t.Entities, t.Skew, numbered, t.Seed)
}

func (r *Result) writeCPU(out *strings.Builder) {
	fmt.Fprintf(out, "%-28s %10s %10s %16s %18s\n", "process", "CPU s", "CPUs", "µs per event in", "µs per decision")
	line := func(u Usage) {
		fmt.Fprintf(out, "%-28s %10.2f %10.2f %16.1f %18.1f\n", u.Process, u.Seconds, u.Seconds/r.Seconds,
			u.Seconds*1e6/float64(r.Sent), u.Seconds*1e6/float64(r.Decided))
	}
	total := Usage{Process: "all"}
	for _, u := range r.CPU {
		total.Seconds += u.Seconds
		line(u)
	}
	line(total)
}

func (l *Latency) write(out *strings.Builder) {
	fmt.Fprintf(out, "\nFrom produce, in ms, at %.0f events/s:\n\n", l.Rate)
	fmt.Fprintf(out, "%-16s %8s   %-26s %-26s\n", "", "probes", "committed: p50  p95  p99", "visible in Redis: p50  p95  p99")
	for _, f := range l.Families {
		fmt.Fprintf(out, "%-16s %8d %10.0f %7.0f %7.0f %12.0f %7.0f %7.0f\n", f.Family, f.Probes,
			f.Committed.P50, f.Committed.P95, f.Committed.P99, f.Visible.P50, f.Visible.P95, f.Visible.P99)
	}
	if l.Rate < 0.95*l.Asked {
		fmt.Fprintf(out, "\nIt should have been %.0f events/s: this process did not get the CPU time to send them.\n", l.Asked)
	}
}
