package status

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/millrace/millrace/infra/cli/terminal"
)

// RenderEntity writes an entity for a person.
func RenderEntity(out io.Writer, e Entity) error {
	fmt.Fprintf(out, "%s is at version %d\n", e.Name, e.Version)
	for _, target := range slices.Sorted(maps.Keys(e.Counters)) {
		plural := "s"
		if e.Counters[target] == 1 {
			plural = ""
		}
		fmt.Fprintf(out, "  emitted %d event%s to %s\n", e.Counters[target], plural, target)
	}
	if err := tables(out, e); err != nil {
		return err
	}
	for _, v := range e.Views {
		fmt.Fprintf(out, "\nRedis %s\n", v.Key)
		for _, line := range v.Lines {
			fmt.Fprintln(out, "  "+line)
		}
		if len(v.Lines) == 0 {
			fmt.Fprintln(out, "  (nothing yet)")
		}
	}
	return nil
}

func tables(out io.Writer, e Entity) error {
	t := table{out: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	for i, s := range e.Streams {
		t.row(i, "STREAM OF\tDECIDED UP TO\tPARKED\tMISSING", s.Source, s.Position, s.Parked, missing(s))
	}
	t.end(false)
	for i, p := range e.Parked[:min(len(e.Parked), lastOpen)] {
		t.row(i, "PARKED\tSINCE\tTYPE\tID\tSTREAM OF", p.Sequence, second(p.Time), p.Type, p.ID, p.Source)
	}
	t.end(len(e.Parked) > lastOpen)
	for i, d := range e.DeadLetters[:min(len(e.DeadLetters), lastOpen)] {
		t.row(i, "DEAD LETTER\tSINCE\tTYPE\tID\tCAUSE", d.ID, second(d.Time), d.Type, d.Event, why(d.Kind, d.Reason, d.Cause))
	}
	t.end(len(e.DeadLetters) > lastOpen)
	for i, d := range e.Decisions {
		t.row(i, "VERSION\tTIME\tTYPE\tID\tOUTCOME", d.Version, second(d.Time), d.Type, d.ID, why(d.Outcome, d.Reason, d.Cause))
	}
	t.end(false)
	return t.err
}

// table writes rows, with a heading before the first.
type table struct {
	out *tabwriter.Writer
	err error
}

func (t *table) row(n int, heading string, columns ...any) {
	if n == 0 {
		fmt.Fprint(t.out, "\n", heading, "\n")
	}
	for i, c := range columns {
		end := "\t"
		if i == len(columns)-1 {
			end = "\n"
		}
		fmt.Fprint(t.out, terminal.Line(fmt.Sprint(c)), end)
	}
}

// end ends a table, so that the next has columns of its own.
func (t *table) end(more bool) {
	if more {
		fmt.Fprintf(t.out, "... and more than these %d\n", lastOpen)
	}
	t.err = errors.Join(t.err, t.out.Flush())
}

// missing says which sequences a stuck stream waits for.
func missing(s Stream) string {
	first, last := s.Position+1, s.FirstParked-1
	switch {
	case s.FirstParked == 0 || first > last: // nothing waits, or not for long
		return "-"
	case first == last:
		return strconv.FormatInt(first, 10)
	default:
		return fmt.Sprintf("%d to %d", first, last)
	}
}

func second(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// why says what became of an event, and what the rule or the check says of it.
func why(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), ": ")
}
