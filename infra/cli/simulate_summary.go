package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/infra/traffic"
)

// trafficFlags are those that simulate and bench share.
func trafficFlags(c *cobra.Command, s *traffic.Settings, only *[]string) {
	f := c.Flags()
	f.IntVar(&s.Tenants, "tenants", s.Tenants, "how many tenants")
	f.IntVar(&s.Entities, "entities", s.Entities, "how many agents, accounts and open conversations each tenant has")
	f.Float64Var(&s.Skew, "skew", s.Skew, "exponent of Zipf's law over tenants and their entities; 0 treats all alike")
	f.BoolVar(&s.Sequences, "sequences", s.Sequences, "number the events of each stream")
	f.StringSliceVar(only, "only", nil, "families to send: some of agent, conversation, message, trade, position, ledger")
}

// summary says what was sent.
func (s *simulation) summary(out io.Writer, command string) {
	e := s.generator.Expected()
	rate := func(n int) float64 { return float64(n) / s.took.Seconds() }
	acked := s.producer.Acked()
	fmt.Fprintf(out, "Kafka has %d records after %.1f s, %.0f/s\n", acked, s.took.Seconds(), rate(acked))
	if acked < e.Records {
		fmt.Fprintf(out, "It has not said so of %d more, which are counted below too.\n", e.Records-acked)
	}
	fmt.Fprintln(out)
	fmt.Fprintf(out, "  %-30s %10s %10s\n", "type", "events", "events/s")
	line := func(name string, n int) { fmt.Fprintf(out, "  %-30s %10d %10.1f\n", name, n, rate(n)) }
	for _, name := range slices.Sorted(maps.Keys(e.Types)) {
		line(name, e.Types[name])
	}
	line("all, each counted once", e.Distinct())
	fmt.Fprintln(out)
	for _, of := range []struct {
		n     int
		words string
	}{
		{e.Reordered, "of them came out of order"},
		{e.Late, "came late, and closed their gap then"},
		{e.Lost, "were never sent"},
		{e.Parked, "stay parked behind those"},
		{e.Duplicates, "duplicates"},
		{e.Poisoned(), "poison: " + counts(e.Poison)},
		{e.Emitted, "events that trades lead to, if none is refused"},
	} {
		if of.n > 0 {
			fmt.Fprintf(out, "  %10d %s\n", of.n, of.words)
		}
	}
	fmt.Fprintf(out, "\nSee what became of them: %s status --watch. The same again: these flags and --seed %d\n", command, s.settings.Seed)
}
