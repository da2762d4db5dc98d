package main

import (
	"fmt"
	"runtime"
	"strings"
)

// result is one run.
type result struct {
	Trades  int     `json:"trades"`
	Events  int     `json:"events"` // decided: trades, fills and entries
	Seconds float64 `json:"seconds"`
	// CPU is user and system time by process.
	CPU  []usage `json:"cpu"`
	CPUs int     `json:"cpus"`
	// Load is the machine's load average when the run began: of others too.
	Load string `json:"load"`
	// Postgres is the server's version.
	Postgres string `json:"postgres"`
}

// usage is the CPU time of a process in seconds.
type usage struct {
	Process string  `json:"process"`
	Seconds float64 `json:"seconds"`
}

// String is the result for people.
func (r *result) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "\n%d trades and the %d events that follow, in %.2f s: %.0f trades/s, %.0f events/s\n",
		r.Trades, r.Events-r.Trades, r.Seconds, r.perSecond(r.Trades), r.perSecond(r.Events))
	fmt.Fprintf(&out, "%d CPUs, %s, %s, load average before: %s\n\n", r.CPUs, runtime.Version(), r.Postgres, r.Load)
	fmt.Fprintf(&out, "%-28s %10s %10s %14s\n", "process", "CPU s", "CPUs", "µs per trade")
	total := usage{Process: "all"}
	for _, u := range r.CPU {
		total.Seconds += u.Seconds
		out.WriteString(r.line(u))
	}
	out.WriteString(r.line(total))
	return out.String()
}

func (r *result) line(u usage) string {
	return fmt.Sprintf("%-28s %10.2f %10.2f %14.1f\n", u.Process, u.Seconds, u.Seconds/r.Seconds, u.Seconds*1e6/float64(r.Trades))
}

func (r *result) perSecond(n int) float64 { return float64(n) / r.Seconds }
