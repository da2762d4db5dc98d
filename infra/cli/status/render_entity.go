package status

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"
)

// RenderEntity writes an entity for a person.
func RenderEntity(out io.Writer, e Entity) error {
	fmt.Fprintf(out, "%s is at version %d\n", e.Name, e.Version)
	for _, target := range slices.Sorted(maps.Keys(e.Counters)) {
		fmt.Fprintf(out, "  emitted %d events to %s\n", e.Counters[target], target)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if len(e.Streams) > 0 {
		fmt.Fprintln(table, "\nSTREAM OF\tDECIDED UP TO\tPARKED\t\t\t")
		for _, s := range e.Streams {
			fmt.Fprintf(table, "%s\t%d\t%d\t\t\t\n", s.Source, s.Position, s.Parked)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(table, "\nVERSION\tTIME\tTYPE\tID\tOUTCOME")
	for _, d := range e.Decisions {
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\n", d.Version, d.Time.UTC().Format(time.RFC3339), d.Type, d.ID, outcome(d))
	}
	if err := table.Flush(); err != nil {
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

func outcome(d Decision) string {
	if d.Reason == "" {
		return d.Outcome
	}
	return d.Outcome + ": " + d.Reason
}
