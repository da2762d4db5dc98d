package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/infra/deadletters"
	"github.com/millrace/millrace/shared/runtime"
)

// selectionFlags are those that say which dead letters.
type selectionFlags struct {
	deadletters.Selection

	since, until string
	all, narrow  bool // all of them; those that a flag or an id chooses
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
	s.StringVar(&f.since, "since", "", "not before: a time (RFC 3339), or how long ago (2h, 30d)")
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
	if err := checkFunction(f.Functions...); err != nil {
		return usage(err)
	}
	now := time.Now()
	if f.Since, err = parseSince(f.since, now); err != nil {
		return usage(fmt.Errorf("--since: %w", err))
	}
	if f.Until, err = parseSince(f.until, now); err != nil {
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
	f.narrow = len(args) > 0
	for _, flag := range []string{"function", "tenant", "reason", "kind", "subject", "source", "event-id", "type", "since", "until"} {
		f.narrow = f.narrow || c.Flags().Changed(flag)
	}
	switch {
	case f.all && len(args) > 0:
		return &usageError{command: c.CommandPath(), err: errors.New("give ids or --all, not both")}
	case !f.narrow && !f.all:
		return &usageError{command: c.CommandPath(), err: errors.New("say which dead letters, by id or by flags, or --all")}
	}
	return nil
}

// warn says, where nothing was found, which reasons may be mistyped. It cannot be
// sure: refusals have the functions' own.
func (f *selectionFlags) warn(a *app) {
	known := runtime.Reasons()
	for _, reason := range f.Reasons {
		if !slices.Contains(known, reason) {
			fmt.Fprintf(a.Err, "millrace: reason %q is none of undecided events%s These have %s; refused ones have those of their functions.\n",
				reason, cmp.Or(meant("", reason, known), "."), strings.Join(known, ", "))
		}
	}
}

// rest says of each id that was given and is not in taken why it is not, and
// returns how many these are.
func (f *selectionFlags) rest(ctx context.Context, pool *pgxpool.Pool, taken map[uuid.UUID]bool, tell func(id uuid.UUID, why string)) (int, error) {
	all, err := deadletters.Rest(ctx, pool, f.Selection, taken)
	for _, one := range all {
		tell(one.ID, cell(one.Err.Error(), 300))
	}
	return len(all), err
}
