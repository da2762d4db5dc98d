package invariants

import (
	"fmt"
	"strings"
)

// Report says which invariants are broken, and how much was looked at: a check
// of nothing proves nothing.
type Report struct {
	Broken  []Broken `json:"broken"`
	Checked Checked  `json:"checked"`
}

// Broken is one way in which an invariant is broken.
type Broken struct {
	Invariant string `json:"invariant"` // I1 to I8
	What      string `json:"what"`
	Rows      []Row  `json:"rows"`  // the first ones
	Count     int    `json:"count"` // of all rows
}

// Row is one thing that is wrong.
type Row struct {
	// Where names it: a table and which row and column of it, a Redis key, an event.
	Where string `json:"where"`
	// Is and Should are what is there and what should be, where that can be said.
	Is     string `json:"is,omitempty"`
	Should string `json:"should,omitempty"`
}

func (r Row) String() string {
	if r.Is == "" && r.Should == "" {
		return r.Where
	}
	return fmt.Sprintf("%s: is %s, should be %s", r.Where, r.Is, r.Should)
}

// Checked counts what was looked at.
type Checked struct {
	Records  int `json:"records"`  // of Kafka, below the committed offsets
	Waiting  int `json:"waiting"`  // records above them
	Sent     int `json:"sent"`     // of Deps.Sent
	Entities int `json:"entities"` // folded
	Events   int `json:"events"`   // folded
	Emitted  int `json:"emitted"`  // events that the folds emitted
	Views    int `json:"views"`    // compared with Redis
	Busy     int `json:"busy"`     // entities and aggregates that changed at every look: Redis was not compared
	Moved    int `json:"moved"`    // aggregates that changed while their function was folded: they were not compared with the fold
	Behind   int `json:"behind"`   // entities that the audit log has taken further: see Deps.Audit
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
	fmt.Fprintf(&out, " (%d records, %d waiting, %d sent; %d entities, %d events, %d emitted; %d views",
		c.Records, c.Waiting, c.Sent, c.Entities, c.Events, c.Emitted, c.Views)
	if c.Busy > 0 {
		fmt.Fprintf(&out, ", %d busy", c.Busy)
	}
	if c.Moved > 0 {
		fmt.Fprintf(&out, ", %d moved", c.Moved)
	}
	out.WriteString(")\n")
	for _, b := range r.Broken {
		fmt.Fprintf(&out, "%s ", b.Invariant)
		out.WriteString(b.String())
	}
	return out.String()
}

// String is what is broken, and where.
func (b Broken) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s: %d\n", b.What, b.Count)
	for _, row := range b.Rows {
		fmt.Fprintf(&out, "     %s\n", row)
	}
	if more := b.Count - len(b.Rows); more > 0 {
		fmt.Fprintf(&out, "     and %d more\n", more)
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

// Differences counts all that is broken.
func (r *Report) Differences() (n int) {
	for _, b := range r.Broken {
		n += b.Count
	}
	return n
}

// brokenf adds a row to what is broken in one way.
func (c *check) brokenf(invariant, what, format string, args ...any) {
	c.differs(invariant, what, Row{Where: fmt.Sprintf(format, args...)})
}

func (c *check) differs(invariant, what string, row Row) {
	for i := range c.report.Broken {
		if b := &c.report.Broken[i]; b.Invariant == invariant && b.What == what {
			if b.Count++; len(b.Rows) < c.deps.Rows {
				b.Rows = append(b.Rows, row)
			}
			return
		}
	}
	c.report.Broken = append(c.report.Broken, Broken{Invariant: invariant, What: what, Rows: []Row{row}, Count: 1})
}
