package invariants

import (
	"fmt"
	"strings"
)

// Report says which invariants are broken, and how much was looked at: a check
// of nothing proves nothing.
type Report struct {
	Broken  []Broken
	Checked Checked
}

// Broken is one way in which an invariant is broken.
type Broken struct {
	Invariant string // I1 to I8
	What      string
	Rows      []string // the first ones
	Count     int      // of all rows
}

// Checked counts what was looked at.
type Checked struct {
	Records  int // of Kafka, below the committed offsets
	Waiting  int // records above them
	Sent     int // of Deps.Sent
	Entities int // folded
	Events   int // folded
	Emitted  int // events that the folds emitted
	Views    int // compared with Redis
}

// Holds reports whether nothing is broken.
func (r *Report) Holds() bool { return len(r.Broken) == 0 }

// String is the report for people.
func (r *Report) String() string {
	var out strings.Builder
	if r.Holds() {
		out.WriteString("I1 to I8 hold")
	} else {
		fmt.Fprintf(&out, "%d invariants are broken", r.invariants())
	}
	c := r.Checked
	fmt.Fprintf(&out, " (%d records, %d waiting, %d sent; %d entities, %d events, %d emitted; %d views)\n",
		c.Records, c.Waiting, c.Sent, c.Entities, c.Events, c.Emitted, c.Views)
	for _, b := range r.Broken {
		fmt.Fprintf(&out, "%s %s: %d\n", b.Invariant, b.What, b.Count)
		for _, row := range b.Rows {
			fmt.Fprintf(&out, "     %s\n", row)
		}
		if more := b.Count - len(b.Rows); more > 0 {
			fmt.Fprintf(&out, "     and %d more\n", more)
		}
	}
	return out.String()
}

func (r *Report) invariants() int {
	names := map[string]bool{}
	for _, b := range r.Broken {
		names[b.Invariant] = true
	}
	return len(names)
}

// brokenf adds a row to what is broken in one way.
func (c *check) brokenf(invariant, what, format string, args ...any) {
	for i := range c.report.Broken {
		if b := &c.report.Broken[i]; b.Invariant == invariant && b.What == what {
			if b.Count++; len(b.Rows) < c.deps.Rows {
				b.Rows = append(b.Rows, fmt.Sprintf(format, args...))
			}
			return
		}
	}
	c.report.Broken = append(c.report.Broken,
		Broken{Invariant: invariant, What: what, Rows: []string{fmt.Sprintf(format, args...)}, Count: 1})
}
