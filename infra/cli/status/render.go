package status

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/millrace/millrace/infra/platform"
	"github.com/millrace/millrace/infra/topics"
	sharedkafka "github.com/millrace/millrace/shared/kafka"
)

// Render writes what a person wants to know. before is the snapshot that
// throughput is counted from.
func Render(out io.Writer, before, now Snapshot) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "FUNCTION\tSTATE\tTRIGGER\tEVENTS/S\tLAG\tPARKED\tDEAD LETTERS")
	for _, f := range now.Functions {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", f.Name,
			state(now.Processes, platform.KindFunction, f.Name), state(now.Processes, platform.KindTrigger, f.Name),
			told(before.NoKafka || now.NoKafka, "%.0f", rate(before, now, f.Name)), told(now.NoKafka, "%d", f.Lag),
			told(now.NoDatabase, "%d", f.Parked), told(now.NoDatabase, "%d", f.DeadLetters))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nrelay %s, outbox %s\n", state(now.Processes, platform.KindRelay, ""), told(now.NoDatabase, "%s", outbox(now.Outbox)))
	topicOnly(out, now)
	if now.Unread {
		fmt.Fprintln(out, "there are more in the dead-letter topics than were read so far (--watch reads on)")
	}
	for _, p := range now.Processes {
		if p.Err != nil {
			fmt.Fprintf(out, "%s is not ready: %v (log: %s)\n", p.Name, p.Err, p.Log)
		}
	}
	for _, err := range now.Troubles {
		fmt.Fprintln(out, "trouble:", err)
	}
	return nil
}

// told is what a server told, or a question mark if it did not answer: a zero
// would say that all is well.
func told(unknown bool, format string, value any) string {
	if unknown {
		return "?"
	}
	return fmt.Sprintf(format, value)
}

// topicOnly tells of dead letters that dlq does not know.
func topicOnly(out io.Writer, now Snapshot) {
	for _, f := range now.Functions {
		switch {
		case f.TopicOnly == 1:
			fmt.Fprintf(out, "%s: 1 dead letter is in topic %s only: no function could read or keep it\n", f.Name, topics.DeadLetters(f.Name))
		case f.TopicOnly > 1:
			fmt.Fprintf(out, "%s: %d dead letters are in topic %s only: no function could read or keep them\n", f.Name, f.TopicOnly, topics.DeadLetters(f.Name))
		}
	}
	switch {
	case now.OfNoFunction == 1:
		fmt.Fprintf(out, "1 dead letter is in topic %s only: it names no function\n", sharedkafka.OtherDeadLetters)
	case now.OfNoFunction > 1:
		fmt.Fprintf(out, "%d dead letters are in topic %s only: they name no function\n", now.OfNoFunction, sharedkafka.OtherDeadLetters)
	}
}

// state is of a process of a local platform; of others only their effects show.
func state(processes []Process, kind, function string) string {
	for _, p := range processes {
		if p.Kind == kind && p.Function == function {
			if p.Err != nil {
				return "DOWN"
			}
			return "up"
		}
	}
	return "-"
}

// rate is how many events a second a function's group was done with between
// two snapshots.
func rate(before, now Snapshot, function string) float64 {
	took := now.At.Sub(before.At).Seconds()
	if took <= 0 {
		return 0
	}
	return float64(done(now, function)-done(before, function)) / took
}

func done(s Snapshot, function string) int64 {
	for _, f := range s.Functions {
		if f.Name == function {
			return f.Done
		}
	}
	return 0
}

func outbox(o Outbox) string {
	oldest := o.Oldest.Round(100 * time.Millisecond)
	switch o.Rows {
	case 0:
		return "empty"
	case 1:
		return fmt.Sprintf("1 row, %s old", oldest)
	default:
		return fmt.Sprintf("%d rows, the oldest %s old", o.Rows, oldest)
	}
}
