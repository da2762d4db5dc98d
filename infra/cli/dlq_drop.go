package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/infra/deadletters"
	"github.com/millrace/millrace/infra/operations"
)

type dropOptions struct {
	selectionFlags
	operatorFlags

	yes bool
}

func (a *app) dlqDropCommand() *cobra.Command {
	var o dropOptions
	c := &cobra.Command{
		Use:   "drop [id...]",
		Short: "Give dead letters up: they are kept, but nobody expects anything of them",
		Long: `Marks dead letters as dropped: they are not counted, not redriven, and stay
dropped if their event comes again. They are kept, with who dropped them and why.

The sequence of an undecided event stays open, and what follows it stays parked:
see millrace streams skip.`,
		Example: `  millrace dlq drop 5b0f5f3c-8a55-d2a9-07ab-6f1a58b1a3c4 --why "a test of the producer's"
  millrace dlq drop --tenant acme --reason bad-payload --until 2026-11-01T00:00:00Z --yes --why "sent anew as T-77"`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.mends(c, args, deadletters.Open, deadletters.Redriving); err != nil {
				return err
			}
			if o.why == "" {
				return &usageError{command: c.CommandPath(), err: errors.New("--why is required: who looks at this later wants to know")}
			}
			return a.drop(c.Context(), &o)
		},
	}
	o.selectionFlags.add(c, deadletters.Open)
	o.operatorFlags.add(c, "reason, for the record; required")
	c.Flags().BoolVar(&o.all, "all", false, "all that are open and fit the other flags")
	c.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask, however many there are")
	return c
}

func (a *app) drop(ctx context.Context, o *dropOptions) error {
	return a.withPool(ctx, func(pool *pgxpool.Pool) error {
		total, err := deadletters.Count(ctx, pool, o.Selection)
		if err != nil {
			return err
		}
		if total > 1 && !o.yes {
			if err := a.confirm(fmt.Sprintf("Drop %s?", count(total))); err != nil {
				return err
			}
		}
		dropped := map[uuid.UUID]bool{}
		err = deadletters.Drop(ctx, pool, o.Selection, operations.Operator{Who: o.who, Why: o.why}, func(page []deadletters.Letter) {
			for _, l := range page {
				dropped[l.ID] = true
			}
		})
		fmt.Fprintf(a.Out, "%s dropped\n", count(len(dropped)))
		if err != nil {
			return err
		}
		kept, err := o.rest(ctx, pool, dropped, func(id uuid.UUID, why string) {
			fmt.Fprintf(a.Out, "%s  not dropped: %s\n", id, why)
		})
		if err != nil {
			return err
		}
		if len(dropped) == 0 {
			o.warn(a)
		}
		if kept > 0 || len(dropped) == 0 && o.narrow {
			return errSilent
		}
		return nil
	})
}
