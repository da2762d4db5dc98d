package bench

import (
	"slices"

	"github.com/millrace/millrace/infra/traffic"
)

// Report is what was measured.
type Report struct {
	Traffic Traffic  `json:"traffic"`
	Median  Result   `json:"median"`
	Runs    []Result `json:"runs"`
}

// Traffic is what was sent, in short.
type Traffic struct {
	Seed      uint64             `json:"seed"`
	Events    int                `json:"events"`
	Mix       map[string]float64 `json:"mix"`
	Tenants   int                `json:"tenants"`
	Entities  int                `json:"entities"`
	Skew      float64            `json:"skew"`
	Sequences bool               `json:"sequences"`
}

func describe(s traffic.Settings) Traffic {
	return Traffic{s.Seed, s.Events, s.Mix, s.Tenants, s.Entities, s.Skew, s.Sequences}
}

// Result is one run, or the median of several: of each number by itself.
type Result struct {
	Sent    int     `json:"sent"`    // records
	Decided int     `json:"decided"` // events, with those that follow
	Seconds float64 `json:"seconds"`
	// CPU is user and system time by process.
	CPU []Usage `json:"cpu"`
	// Latency is nil if it was left out.
	Latency  *Latency `json:"latency,omitempty"`
	CPUs     int      `json:"cpus"`
	Go       string   `json:"go"`
	Postgres string   `json:"postgres"`
	// Load is the machine's load average when the run began: of others too.
	Load string `json:"load"`
}

// Usage is the CPU time of a process in seconds.
type Usage struct {
	Process string  `json:"process"`
	Seconds float64 `json:"seconds"`
}

func (r *Result) perSecond(n int) float64 { return float64(n) / r.Seconds }

// median takes the middle of each number; of an even count the greater one.
func median(runs []Result) Result {
	r := runs[0]
	r.Seconds = middle(runs, func(r *Result) float64 { return r.Seconds })
	r.CPU = nil
	for n, u := range runs[0].CPU {
		r.CPU = append(r.CPU, Usage{u.Process, middle(runs, func(r *Result) float64 { return r.CPU[n].Seconds })})
	}
	// The number of records and of what follows differs a little with the seed.
	r.Sent = int(middle(runs, func(r *Result) float64 { return float64(r.Sent) }))
	r.Decided = int(middle(runs, func(r *Result) float64 { return float64(r.Decided) }))
	if r.Latency != nil {
		r.Latency = medianLatency(runs)
	}
	return r
}

func medianLatency(runs []Result) *Latency {
	l := &Latency{
		Rate:  middle(runs, func(r *Result) float64 { return r.Latency.Rate }),
		Asked: middle(runs, func(r *Result) float64 { return r.Latency.Asked }),
	}
	for _, f := range runs[0].Latency.Families {
		of := func(get func(*FamilyLatency) float64) float64 {
			return middle(runs, func(r *Result) float64 {
				n := slices.IndexFunc(r.Latency.Families, func(other FamilyLatency) bool { return other.Family == f.Family })
				if n < 0 {
					return 0 // too rare to be among the probes of that run
				}
				return get(&r.Latency.Families[n])
			})
		}
		l.Families = append(l.Families, FamilyLatency{
			Family: f.Family, Probes: int(of(func(f *FamilyLatency) float64 { return float64(f.Probes) })),
			Committed: Quantiles{
				of(func(f *FamilyLatency) float64 { return f.Committed.P50 }),
				of(func(f *FamilyLatency) float64 { return f.Committed.P95 }),
				of(func(f *FamilyLatency) float64 { return f.Committed.P99 }),
			},
			Visible: Quantiles{
				of(func(f *FamilyLatency) float64 { return f.Visible.P50 }),
				of(func(f *FamilyLatency) float64 { return f.Visible.P95 }),
				of(func(f *FamilyLatency) float64 { return f.Visible.P99 }),
			},
		})
	}
	return l
}

func middle(runs []Result, of func(*Result) float64) float64 {
	all := make([]float64, len(runs))
	for n := range runs {
		all[n] = of(&runs[n])
	}
	slices.Sort(all)
	return all[len(all)/2]
}
