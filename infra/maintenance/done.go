package maintenance

import (
	"fmt"
	"strings"
	"time"
)

// Did is a kind of thing that is done.
type Did string

// The kinds.
const (
	Made     Did = "made"          // a month's partition
	Moved    Did = "moved"         // rows out of the default partition, into those of their months
	Detached Did = "detached"      // a month, kept as a table
	Dropped  Did = "dropped"       // a month
	Deleted  Did = "deleted"       // rows
	Left     Did = "left as it is" // for a reason
)

// Done is one thing that was done, or in a dry run would be.
type Done struct {
	Table  string
	Did    Did
	Months []time.Time // of which
	Rows   int64
	Note   string
}

// would is how a dry run tells it.
var would = map[Did]string{
	Made: "would make", Moved: "would move", Detached: "would detach", Dropped: "would drop", Deleted: "would delete", Left: "would leave as it is",
}

// String tells it to people, as done.
func (d Done) String() string { return d.tell(string(d.Did)) }

// Would tells it to people, as not done: of a dry run.
func (d Done) Would() string { return d.tell(would[d.Did]) }

func (d Done) tell(text string) string {
	var parts []string
	if d.Rows > 0 || d.Did == Deleted || d.Did == Moved {
		parts = append(parts, fmt.Sprintf("%d rows", d.Rows))
	}
	if len(d.Months) > 0 {
		names := make([]string, len(d.Months))
		for n, month := range d.Months {
			names[n] = month.Format("2006-01")
		}
		parts = append(parts, strings.Join(names, ", "))
	}
	if len(parts) > 0 {
		text += " " + strings.Join(parts, " of ")
	}
	if d.Note != "" {
		text += ": " + d.Note
	}
	return text
}
