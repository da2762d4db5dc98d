package cli

import (
	"context"
	"errors"
	"fmt"
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
			return a.dlqList(c.Context(), &f, cursor, limit, asJSON)
		},
	}
	f.add(c, deadletters.Open, deadletters.Redriving)
	c.Flags().IntVar(&limit, "limit", 50, "how many")
	c.Flags().StringVar(&after, "after", "", "go on behind this one")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func (a *app) dlqList(ctx context.Context, f *selectionFlags, after uuid.UUID, limit int, asJSON bool) error {
	return a.withPool(ctx, func(pool *pgxpool.Pool) error {
		page, more, err := deadletters.List(ctx, pool, f.Selection, after, limit)
		if err != nil {
			return err
		}
		if len(page) == 0 && after == uuid.Nil {
			f.warn(a)
		}
		next := ""
		if more {
			next = page[len(page)-1].ID.String()
		}
		if err := a.writeLetters(page, next, asJSON); err != nil || more || after != uuid.Nil {
			return err
		}
		return f.unlisted(ctx, a, pool, page)
	})
}

// unlisted names the ids that were given and are not on the only page.
func (f *selectionFlags) unlisted(ctx context.Context, a *app, pool *pgxpool.Pool, page []deadletters.Letter) error {
	listed := map[uuid.UUID]bool{}
	for _, l := range page {
		listed[l.ID] = true
	}
	n, err := f.rest(ctx, pool, listed, func(id uuid.UUID, why string) {
		fmt.Fprintf(a.Err, "millrace: %s is not listed: %s\n", id, why)
	})
	if err == nil && n > 0 {
		return errSilent
	}
	return err
}

func (a *app) writeLetters(page []deadletters.Letter, next string, asJSON bool) error {
	if asJSON {
		return a.writeJSON(struct {
			Letters []deadletters.Letter `json:"deadLetters"`
			Next    string               `json:"next,omitempty"`
		}{append([]deadletters.Letter{}, page...), next})
	}
	return a.letterTable(page, next)
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
