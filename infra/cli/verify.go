package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/functions"
	"github.com/millrace/millrace/infra/cli/terminal"
	"github.com/millrace/millrace/infra/invariants"
)

// verifyOptions are the flags of `millrace verify`.
type verifyOptions struct {
	invariants.Scope

	since    string
	patience time.Duration
	rows     int
	json     bool
}

func (a *app) verifyCommand() *cobra.Command {
	var o verifyOptions
	c := &cobra.Command{
		Use:   "verify",
		Short: "Hold the tables and Redis against the audit log",
		Long: `Folds the audit log of each entity from its first decision on, with the functions'
own rules, and compares what comes out with the tables; then compares Redis with
the tables. It may run at any time: it only reads, page by page, and what is
decided meanwhile is no difference.

What differs is shown row by row: where it is, what is there, and what should be.

  exit status 0   all is the same
              1   something differs, or it could not be found out, or there is nothing
                  of the tenant, the function or the time that was asked for
              2   the command was not understood

With --since it looks only at entities that were decided about since then, but
folds those from their beginning. Balances, agents' counts, and what Redis shows
beyond the tables are left out then.`,
		Example: `  millrace verify
  millrace verify --tenant acme --function trade
  millrace verify --since 24h --json`,
		Args: noArgs,
		RunE: checked(func() error { return o.complete(time.Now()) }, func(ctx context.Context) error { return a.verify(ctx, o) }),
	}
	f := c.Flags()
	f.StringVar(&o.Tenant, "tenant", "", "only this tenant")
	f.StringVar(&o.Function, "function", "", "only this function")
	f.StringVar(&o.since, "since", "", "only entities decided about since then: 24h, 30d, or a time in RFC 3339")
	o.patience = 30 * time.Second
	spanVar(c, &o.patience, "patience", "for how long Redis may be behind the tables")
	f.IntVar(&o.rows, "rows", 20, "how many rows of each kind of difference are shown")
	f.BoolVar(&o.json, "json", false, "print the result as JSON")
	return c
}

// complete checks the flags.
func (o *verifyOptions) complete(now time.Time) (err error) {
	if err := checkFunction(o.Function); err != nil {
		return err
	}
	if o.Since, err = parseSince(o.since, now); err != nil {
		return fmt.Errorf("--since: %w", err)
	}
	if !o.Since.IsZero() && now.Sub(o.Since) > invariants.Horizon {
		return errors.New("--since may reach back 35 days, for as long as identities are remembered: leave it out to verify all")
	}
	if o.rows < 1 || o.patience <= 0 {
		return errors.New("--rows must be 1 or more, --patience above zero")
	}
	return nil
}

func (a *app) verify(ctx context.Context, o verifyOptions) (err error) {
	s, err := a.stores("DATABASE_URL", "REDIS_URL")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	pool, errPool := s.postgres(ctx)
	shown, errRedis := s.redis(ctx)
	if err := cmp.Or(errPool, errRedis); err != nil {
		return err
	}
	bar := newEntityBar(a.Err)
	report, err := invariants.Verify(ctx, invariants.Deps{
		Pool: pool, Redis: shown, Functions: functions.All(),
		Scope: o.Scope, Patience: o.patience, Rows: o.rows, Progress: bar.show,
	})
	bar.clear()
	if err != nil {
		return err
	}
	if c := report.Checked; c.Entities == 0 && c.Views == 0 && report.Holds() {
		if err := noEntity(o.Tenant, o.Function, o.Since); err != nil {
			return err
		}
	}
	if err := a.printReport(o.json, report); err != nil {
		return err
	}
	if !report.Holds() {
		return errSilent
	}
	return nil
}

// entityBar shows progress of what goes through entities.
type entityBar struct {
	out io.Writer
	bar *terminal.Bar
}

func newEntityBar(out io.Writer) *entityBar { return &entityBar{out: out} }

func (b *entityBar) show(p invariants.Progress) {
	if b.bar == nil {
		b.bar = terminal.NewBar(b.out, "", p.Total)
	}
	b.bar.Set(p.Done, p.Doing)
}

func (b *entityBar) clear() {
	if b.bar != nil {
		b.bar.Clear()
	}
}

// several counts things.
func several(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if stem, is := strings.CutSuffix(what, "ity"); is {
		return fmt.Sprintf("%d %sities", n, stem)
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// printReport says what was compared, and what differs.
func (a *app) printReport(asJSON bool, r invariants.Report) error {
	if asJSON {
		return a.writeJSON(struct {
			Same        bool `json:"same"`
			Differences int  `json:"differences"`
			invariants.Report
		}{r.Holds(), r.Differences(), r})
	}
	for _, b := range r.Broken {
		fmt.Fprintf(a.Out, "%s\n", b)
	}
	verdict := "The tables and Redis are what the audit log gives"
	if n := r.Differences(); n > 0 {
		verdict = several(n, "difference")
	}
	c := r.Checked
	fmt.Fprintf(a.Out, "%s: %s with %s, %s.\n", verdict, several(c.Entities, "entity"), several(c.Events, "decision"), several(c.Views, "view"))
	if c.Busy > 0 {
		fmt.Fprintf(a.Out, "%d entities and sums changed at every look, so Redis was not compared for these.\n", c.Busy)
	}
	if c.Moved > 0 {
		fmt.Fprintf(a.Out, "%d sums changed while they were folded, so they were not compared with the fold.\n", c.Moved)
	}
	return nil
}
