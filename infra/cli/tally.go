package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/infra/cli/send"
	"github.com/millrace/millrace/infra/cli/terminal"
)

// few is up to how many events each gets a line of its own.
const few = 20

// tally tells a person what became of the events that were sent.
type tally struct {
	out     io.Writer
	verbose bool
	began   time.Time
	stored  []send.Stored
}

func newTally(out io.Writer, verbose bool) *tally {
	return &tally{out: out, verbose: verbose, began: time.Now()}
}

func (t *tally) add(stored []send.Stored) { t.stored = append(t.stored, stored...) }

func (t *tally) each() bool { return t.verbose || len(t.stored) <= few }

// sent says what Kafka has.
func (t *tally) sent() {
	if t.each() {
		for _, e := range t.stored {
			fmt.Fprintf(t.out, "%s  Kafka has it: %s, partition %d, offset %d\n", e.ID, e.Topic, e.Partition, e.Offset)
		}
		return
	}
	took := time.Since(t.began)
	byTopic := map[string]int{}
	for _, e := range t.stored {
		byTopic[e.Topic]++
	}
	fmt.Fprintf(t.out, "Kafka has %d events (%s) after %.1f s, %.0f events/s\n",
		len(t.stored), counts(byTopic), took.Seconds(), float64(len(t.stored))/took.Seconds())
}

// decided says what the functions decided and tells whether all went well.
func (t *tally) decided(outcomes []send.Outcome) bool {
	byVerdict := map[string]int{}
	bad := 0
	for i, o := range outcomes {
		byVerdict[string(o.Verdict)]++
		well := o.Verdict == send.Applied || o.Verdict == send.Duplicate
		if !well {
			bad++
		}
		if t.each() || (!well && bad <= few) {
			fmt.Fprintln(t.out, describe(t.stored[i], o))
		}
	}
	if bad > few && !t.each() {
		fmt.Fprintf(t.out, "... and %d more that were not applied (--verbose shows all)\n", bad-few)
	}
	if !t.each() {
		took := time.Since(t.began)
		fmt.Fprintf(t.out, "After %.1f s: %s, %.0f events/s\n", took.Seconds(), counts(byVerdict), float64(len(outcomes))/took.Seconds())
	}
	return bad == 0
}

func describe(e send.Stored, o send.Outcome) string {
	line := fmt.Sprintf("%s  %s", e.ID, o.Verdict)
	if o.Version > 0 {
		line += fmt.Sprintf(": version %d of %s/%s/%s", o.Version, e.Tenant, e.Function, e.Subject)
	}
	if o.Detail != "" {
		line += ": " + terminal.Line(o.Detail)
	}
	return line
}

func counts(of map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, fmt.Sprintf("%d %s", of[name], name))
	}
	return strings.Join(parts, ", ")
}
