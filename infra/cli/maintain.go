package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/infra/maintenance"
)

func (a *app) maintainCommand() *cobra.Command {
	c := maintenance.Config{Ahead: 3, SeenAfter: maintenance.Horizon}
	command := &cobra.Command{
		Use:   "maintain",
		Short: "Make months ahead, and clear what is old",
		Long: `Keeps the tables in order that grow, and says what it did, table by table:

  months ahead are made
  rows that came before their month was made are moved into it
  months that are old are detached or dropped, where a table may lose them
  identities of events are forgotten after the horizon of deduplication
  dead letters that are settled are deleted, if you ask for it

It may run at any time, twice, and several at once, while functions work. If it is
killed, run it again. Run it once a day.

No months can be taken out of the tables that come with Millrace: entities are
folded from their first decision. See "Months and retention" in docs/operations.md.`,
		Example: `  millrace maintain
  millrace maintain --dry-run
  millrace maintain --seen-after 60d --letters-after 90d`,
		Args: noArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := c.Validate(); err != nil {
				return &usageError{command: command.CommandPath(), err: err}
			}
			return a.maintain(command.Context(), c)
		},
	}
	f := command.Flags()
	f.BoolVar(&c.DryRun, "dry-run", false, "only say what would be done")
	f.IntVar(&c.Ahead, "ahead", c.Ahead, "how many months after this one are made")
	f.StringToIntVar(&c.DetachAfter, "detach-after", nil, "after how many months a table's month is detached, and kept: table=months")
	f.StringToIntVar(&c.DropAfter, "drop-after", nil, "after how many months a table's month is dropped: table=months")
	f.Var(&c.SeenAfter, "seen-after", "for how long identities of events are remembered, at least 35d")
	f.Var(&c.LettersAfter, "letters-after", "after what time dead letters that were redriven or dropped are deleted; 0d: never")
	return command
}

func (a *app) maintain(ctx context.Context, c maintenance.Config) (err error) {
	s, err := a.stores("DATABASE_URL")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	nothing := true
	c.Tell = func(d maintenance.Done) {
		nothing = false
		text := d.String()
		if c.DryRun {
			text = d.Would()
		}
		fmt.Fprintf(a.Out, "%-12s  %s\n", d.Table, text)
	}
	if err := maintenance.Run(ctx, s.DatabaseURL, c); err != nil {
		return err
	}
	switch {
	case nothing:
		fmt.Fprintln(a.Out, "Nothing to do.")
	case c.DryRun:
		fmt.Fprintln(a.Out, "Nothing was done: this was a dry run.")
	}
	return nil
}
