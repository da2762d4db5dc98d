package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/infra/deadletters"
)

func (a *app) dlqCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "dlq",
		Short: "Dead letters: list, show, redrive, drop",
		Long: `Dead letters are what a function could not decide (kind undecided) and what its
rules refused (kind refused). Each is kept with its event until somebody has
redriven or dropped it. Who did that, when and why is kept too.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.dlqListCommand(), a.dlqShowCommand(), a.dlqRedriveCommand(), a.dlqDropCommand())
	return c
}

// selectionFlags are those that say which dead letters.
type selectionFlags struct {
	deadletters.Selection

	since, until string
	all          bool
}

func (f *selectionFlags) add(c *cobra.Command, states ...string) {
	s := c.Flags()
	s.StringSliceVar(&f.Functions, "function", nil, "of these functions")
	s.StringSliceVar(&f.Tenants, "tenant", nil, "of these tenants")
	s.StringSliceVar(&f.Reasons, "reason", nil, "with these reasons, such as unknown-type")
	s.StringSliceVar(&f.Kinds, "kind", nil, "undecided or refused")
	s.StringSliceVar(&f.States, "state", states, "open, redriving, redriven or dropped")
	s.StringArrayVar(&f.Subjects, "subject", nil, "about this subject")
	s.StringArrayVar(&f.Sources, "source", nil, "of this source")
	s.StringArrayVar(&f.EventIDs, "event-id", nil, "of the event with this id")
	s.StringSliceVar(&f.Types, "type", nil, "of these event types")
	s.StringVar(&f.since, "since", "", "not before: a time (RFC 3339), or how long ago (2h)")
	s.StringVar(&f.until, "until", "", "before: likewise")
}

// complete makes the selection of the flags and of ids.
func (f *selectionFlags) complete(c *cobra.Command, args []string) (err error) {
	usage := func(err error) error { return &usageError{command: c.CommandPath(), err: err} }
	for _, arg := range args {
		id, err := uuid.Parse(arg)
		if err != nil {
			return usage(fmt.Errorf("%q is no id of a dead letter", arg))
		}
		f.IDs = append(f.IDs, id)
	}
	for name, check := range map[string]struct{ values, known []string }{
		"kind":  {f.Kinds, []string{"undecided", "refused"}},
		"state": {f.States, []string{deadletters.Open, deadletters.Redriving, deadletters.Redriven, deadletters.Dropped}},
	} {
		if err := oneOf(name, check.values, check.known); err != nil {
			return usage(err)
		}
	}
	if f.Since, err = parseMoment(f.since); err != nil {
		return usage(fmt.Errorf("--since: %w", err))
	}
	if f.Until, err = parseMoment(f.until); err != nil {
		return usage(fmt.Errorf("--until: %w", err))
	}
	return nil
}

func oneOf(flag string, values, known []string) error {
	for _, value := range values {
		if !strings.Contains(" "+strings.Join(known, " ")+" ", " "+value+" ") {
			return fmt.Errorf("--%s %q: want %s", flag, value, strings.Join(known, ", "))
		}
	}
	return nil
}

// mends is complete for a command that changes something: it does so only where
// it is told to.
func (f *selectionFlags) mends(c *cobra.Command, args []string, states ...string) error {
	if err := f.complete(c, args); err != nil {
		return err
	}
	if err := oneOf("state", f.States, states); err != nil {
		return &usageError{command: c.CommandPath(), err: err}
	}
	narrow := len(args) > 0
	for _, flag := range []string{"function", "tenant", "reason", "kind", "subject", "source", "event-id", "type", "since", "until"} {
		narrow = narrow || c.Flags().Changed(flag)
	}
	if narrow == f.all {
		return &usageError{command: c.CommandPath(), err: errors.New("say which dead letters, by id or by flags, or --all")}
	}
	return nil
}

func (a *app) dlqListCommand() *cobra.Command {
	var f selectionFlags
	var limit int
	var after string
	var asJSON bool
	c := &cobra.Command{
		Use:   "list [id...]",
		Short: "List dead letters, the newest first",
		Example: `  millrace dlq list
  millrace dlq list --function trade --reason unknown-type,bad-payload --since 2h
  millrace dlq list --tenant acme --state redriven,dropped --json`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.complete(c, args); err != nil {
				return err
			}
			cursor, err := uuid.Parse(after)
			if after != "" && err != nil || limit < 1 || limit > 10_000 {
				return &usageError{command: c.CommandPath(), err: errors.New("--after wants the id of a dead letter, and --limit 1 to 10000")}
			}
			return a.dlqList(c.Context(), f.Selection, cursor, limit, asJSON)
		},
	}
	f.add(c, deadletters.Open, deadletters.Redriving)
	c.Flags().IntVar(&limit, "limit", 50, "how many")
	c.Flags().StringVar(&after, "after", "", "go on behind this one")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func (a *app) dlqList(ctx context.Context, s deadletters.Selection, after uuid.UUID, limit int, asJSON bool) error {
	return a.withPool(ctx, func(pool *pgxpool.Pool) error {
		page, more, err := deadletters.List(ctx, pool, s, after, limit)
		if err != nil {
			return err
		}
		next := ""
		if more {
			next = page[len(page)-1].ID.String()
		}
		if asJSON {
			return a.writeJSON(struct {
				Letters []deadletters.Letter `json:"deadLetters"`
				Next    string               `json:"next,omitempty"`
			}{append([]deadletters.Letter{}, page...), next})
		}
		return a.letterTable(page, next)
	})
}

func (a *app) letterTable(page []deadletters.Letter, next string) error {
	if len(page) == 0 {
		fmt.Fprintln(a.Out, "no dead letters")
		return nil
	}
	table := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tSINCE (UTC)\tFUNCTION\tTENANT\tSUBJECT\tEVENT\tKIND\tREASON\tSTATE")
	for _, l := range page {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.ID, moment(l.CreatedAt), l.Function,
			cell(l.TenantID, 20), cell(l.Subject, 24), cell(l.EventID, 24), l.Kind, cell(l.Reason, 24), l.State)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if next != "" {
		fmt.Fprintf(a.Out, "\nThere are more: add --after %s\n", next)
	}
	return nil
}
