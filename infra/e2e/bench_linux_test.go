package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/infra/bench"
	"github.com/millrace/millrace/infra/cli"
	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/infra/traffic"
)

// measured are the fields of what `millrace bench --json` prints of a run, for the
// programs that read it.
const measured = `cpu.process cpu.seconds cpus decided go
latency.asked latency.families.committedMs.p50 latency.families.committedMs.p95 latency.families.committedMs.p99
latency.families.family latency.families.probes
latency.families.visibleMs.p50 latency.families.visibleMs.p95 latency.families.visibleMs.p99
latency.rate load postgres seconds sent`

// TestBench has the command measure a little, on a platform of its own. How fast
// that was says nothing; what was measured, and that nothing was left out, does.
func TestBench(t *testing.T) {
	theWorld(t) // has built the programs
	for _, name := range []string{"KAFKA_BROKERS", "DATABASE_URL", "REDIS_URL"} {
		t.Setenv(name, "")
	}
	var out, said bytes.Buffer
	status := cli.Run(t.Context(),
		[]string{"bench", "--events=200", "--seed=7", "--sequences", "--runs=1", "--rate=200", "--latency=1s", "--check", "--json"},
		cli.Streams{In: strings.NewReader(""), Out: &out, Err: &said})
	if status != 0 {
		t.Fatalf("status %d: %s", status, said.String())
	}
	var report bench.Report
	var all struct{ Traffic, Median, Runs any }
	for _, into := range []any{&report, &all} {
		decoder := json.NewDecoder(bytes.NewReader(out.Bytes()))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(into); err != nil {
			t.Fatalf("%v in %s", err, out.String())
		}
	}
	for what, part := range map[string]any{"the run": all.Runs, "the median": all.Median} {
		if got := fields(part, ""); !slices.Equal(got, strings.Fields(measured)) {
			t.Errorf("%s has the fields %s\nwant %s", what, got, measured)
		}
	}
	if len(report.Runs) != 1 || fmt.Sprint(all.Runs) != fmt.Sprint([]any{all.Median}) {
		t.Errorf("the median of one run is another one:\n%s", out.String())
	}
	s := traffic.Defaults()
	s.Seed, s.Events, s.Sequences, s.Start = 7, 200, true, time.Now()
	if got := report.Traffic; got.Seed != s.Seed || got.Events != s.Events || !got.Sequences || got.Tenants != s.Tenants ||
		got.Entities != s.Entities || got.Skew != s.Skew || !maps.Equal(got.Mix, s.Mix) {
		t.Errorf("the traffic was %+v", got)
	}
	holds(t, report.Median, expected(t, s))
}

// expected is what the traffic leads to.
func expected(t *testing.T, s traffic.Settings) traffic.Expected {
	t.Helper()
	g, err := traffic.New(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, more := g.Next(); more; _, more = g.Next() {
	}
	return g.Expected()
}

// holds checks what a run has measured for what does not depend on the machine.
func holds(t *testing.T, r bench.Result, want traffic.Expected) {
	t.Helper()
	if r.Sent != want.Records || r.Decided != want.Decided+want.Emitted || want.Emitted == 0 {
		t.Errorf("%d records were sent and %d events decided, want %+v", r.Sent, r.Decided, want)
	}
	processes := []string{"relay", "PostgreSQL", "Redis", "Kafka (kfake) and measuring"}
	for _, name := range topics.Functions() {
		processes = append(processes, name, name+"-trigger")
	}
	var told []string
	for _, u := range r.CPU {
		if told = append(told, u.Process); u.Seconds < 0 {
			t.Errorf("%s used %v s", u.Process, u.Seconds)
		}
	}
	if slices.Sort(told); !slices.Equal(told, slices.Sorted(slices.Values(processes))) {
		t.Errorf("the CPU time of %q, want %q", told, processes)
	}
	if r.Seconds <= 0 || r.CPUs < 1 || r.Go == "" || r.Load == "" || !strings.HasPrefix(r.Postgres, "PostgreSQL ") {
		t.Errorf("it was measured in %+v", r)
	}
	if r.Latency.Rate <= 0 || r.Latency.Asked != 200 || len(r.Latency.Families) < 2 || r.Latency.Families[0].Family != "all" {
		t.Fatalf("the latencies are %+v", r.Latency)
	}
	probes := 0
	for n, f := range r.Latency.Families {
		if n > 0 {
			probes += f.Probes
		}
		for _, q := range []bench.Quantiles{f.Committed, f.Visible} {
			if q.P50 <= 0 || q.P50 > q.P95 || q.P95 > q.P99 {
				t.Errorf("the percentiles of %s are %+v", f.Family, q)
			}
		}
	}
	if probes == 0 || probes != r.Latency.Families[0].Probes {
		t.Errorf("%d probes of all families, %d of each", r.Latency.Families[0].Probes, probes)
	}
}

// fields are the paths of all that is in a JSON value, sorted.
func fields(value any, path string) (all []string) {
	switch v := value.(type) {
	case []any:
		for _, element := range v {
			all = append(all, fields(element, path)...)
		}
	case map[string]any:
		for name, member := range v {
			all = append(all, fields(member, strings.TrimPrefix(path+"."+name, "."))...)
		}
	default:
		return []string{path}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
