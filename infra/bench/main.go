package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

// options are what the command line says.
type options struct {
	trades, accounts, tenants, runs int
	sequenced, check                bool
	json                            string
}

func main() {
	var o options
	flag.IntVar(&o.trades, "trades", 100_000, "how many trades wait in the topic")
	flag.IntVar(&o.accounts, "accounts", 1000, "how many accounts they are about")
	flag.IntVar(&o.tenants, "tenants", 4, "how many tenants the accounts are of")
	flag.IntVar(&o.runs, "runs", 3, "how many runs, each from an empty platform; the median is told")
	flag.BoolVar(&o.sequenced, "sequenced", false, "give the trades a sequence")
	flag.BoolVar(&o.check, "check", false, "check every invariant after each run, which takes about as long again")
	flag.StringVar(&o.json, "json", "", "a file to write all runs to, in JSON")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to be stopped
	}
}

func run(ctx context.Context, o options, out io.Writer) error {
	var results []result
	for n := range o.runs {
		r, err := measure(ctx, o)
		if err != nil {
			return fmt.Errorf("run %d: %w", n+1, err)
		}
		fmt.Fprintf(out, "run %d: %d trades in %.2f s\n", n+1, r.Trades, r.Seconds)
		results = append(results, r)
	}
	r := median(results)
	if _, err := io.WriteString(out, r.String()); err != nil {
		return err
	}
	if o.json == "" {
		return nil
	}
	text, err := json.MarshalIndent(map[string]any{"median": r, "runs": results}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.json, append(text, '\n'), 0o644)
}

// median is the run in the middle; of an even number the slower one.
func median(results []result) result {
	sorted := slices.Clone(results)
	slices.SortFunc(sorted, func(a, b result) int {
		switch {
		case a.Seconds < b.Seconds:
			return -1
		case a.Seconds > b.Seconds:
			return 1
		}
		return 0
	})
	return sorted[len(sorted)/2]
}
