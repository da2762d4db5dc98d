package soak

import (
	"fmt"
	"strings"
	"time"

	"github.com/millrace/millrace/infra/invariants"
	"github.com/millrace/millrace/infra/traffic"
)

// Result is the verdict of a soak.
type Result struct {
	Seed     uint64
	Expected traffic.Expected
	Faults   []Fault
	// Sending is how long the traffic took, Settled how long until all was at rest.
	Sending, Settled time.Duration
	// Lost are events that had to be decided or parked, and are not; Twice are
	// identities that were decided more than once. That each record which cannot
	// be decided is a dead letter is in the Report.
	Lost, Twice int
	Found       Found
	Report      invariants.Report
	Logs        string // where they are kept
}

// Found counts what there is in the end.
type Found struct {
	Decided, Emitted, Parked, Dead int
}

// Held reports whether everything that is promised was kept.
func (r *Result) Held() bool {
	return r.Found != Found{} && r.Lost == 0 && r.Twice == 0 && r.Report.Holds()
}

// String is the result for people.
func (r *Result) String() string {
	var out strings.Builder
	e := &r.Expected
	fmt.Fprintf(&out, "%d events in %d records: %d came again, %d out of order, %d late, %d never, and %d that cannot be decided\n",
		e.Distinct()+e.Lost, e.Records, e.Duplicates, e.Reordered, e.Late, e.Lost, e.Poisoned())
	fmt.Fprintf(&out, "%d faults: %s\n", len(r.Faults), strings.Join(kindsOf(r.Faults), ", "))
	fmt.Fprintf(&out, "sent in %s, at rest after %s: %d decided, of which %d follow from trades; %d parked, %d dead letters\n",
		r.Sending.Round(time.Second), r.Settled.Round(time.Second), r.Found.Decided, r.Found.Emitted, r.Found.Parked, r.Found.Dead)
	fmt.Fprintf(&out, "lost: %d, twice: %d; %s", r.Lost, r.Twice, r.Report.String())
	if !r.Held() {
		fmt.Fprintf(&out, "\nSeed %d. The faults:\n", r.Seed)
		for _, f := range r.Faults {
			fmt.Fprintf(&out, "  %s\n", f)
		}
		fmt.Fprintf(&out, "The logs of all processes are in %s\n", r.Logs)
	}
	return out.String()
}
