package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/infra/operations"
	"github.com/millrace/millrace/infra/streams"
)

func (a *app) streamsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "streams",
		Short: "Streams of producers: list, show, skip, adopt",
		Long: `A stream is the events that a source numbers about an entity. What comes early
is parked until the missing events are decided. A stream is stuck while one of
them does not come. Who mended it, when and why is kept.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.streamsListCommand(), a.streamsShowCommand(), a.streamsSkipCommand(), a.streamsAdoptCommand())
	return c
}

// withPool runs do with a pool of the platform's database.
func (a *app) withPool(ctx context.Context, do func(*pgxpool.Pool) error) (err error) {
	st, err := a.stores("DATABASE_URL")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.close()) }()
	pool, err := st.postgres(ctx)
	if err != nil {
		return err
	}
	return do(pool)
}

func (a *app) streamsListCommand() *cobra.Command {
	var s streams.Selection
	var limit int
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List streams, or those that are stuck, the longest first",
		Example: `  millrace streams list --stuck
  millrace streams list --stuck --for 10m --function trade --json
  millrace streams list --tenant acme --subject account-1`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if limit < 1 || limit > 10_000 {
				return &usageError{command: c.CommandPath(), err: errors.New("--limit wants 1 to 10000")}
			}
			if err := checkFunction(s.Function); err != nil {
				return &usageError{command: c.CommandPath(), err: err}
			}
			return a.withPool(c.Context(), func(pool *pgxpool.Pool) error {
				all, more, err := streams.List(c.Context(), pool, s, limit)
				if err != nil {
					return err
				}
				return a.listStreams(all, more, asJSON)
			})
		},
	}
	f := c.Flags()
	f.BoolVar(&s.Stuck, "stuck", false, "only those that wait for an event that is missing")
	spanVar(c, &s.For, "for", "with --stuck: for that long at least")
	f.StringVar(&s.Tenant, "tenant", "", "of this tenant")
	f.StringVar(&s.Function, "function", "", "of this function")
	f.StringVar(&s.Subject, "subject", "", "about this subject")
	f.StringVar(&s.Source, "source", "", "of this source")
	f.IntVar(&limit, "limit", 50, "how many")
	f.BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func (a *app) listStreams(all []streams.Stream, more, asJSON bool) error {
	if asJSON {
		if all == nil {
			all = []streams.Stream{}
		}
		return a.writeJSON(struct {
			Streams []streams.Stream `json:"streams"`
			More    bool             `json:"more"`
		}{all, more})
	}
	if len(all) == 0 {
		fmt.Fprintln(a.Out, "no streams")
		return nil
	}
	table := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TENANT\tFUNCTION\tSUBJECT\tSOURCE\tDECIDED TO\tMISSING\tPARKED\tSINCE (UTC)")
	for _, s := range all {
		missing, since := "-", "-"
		if s.Missing != nil {
			missing = s.Missing.String()
		}
		if s.Since != nil {
			since = fmt.Sprintf("%s (%s)", moment(*s.Since), time.Since(*s.Since).Truncate(time.Second))
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%s\t%d\t%s\n", cell(s.TenantID, 64), s.Function, cell(s.Subject, 128), cell(s.Source, 512),
			s.Position, missing, s.Parked, since)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if more {
		fmt.Fprintln(a.Out, "\nThere are more: narrow it, or raise --limit")
	}
	return nil
}

// streamFlags name one stream.
type streamFlags struct{ streams.Name }

func (f *streamFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.TenantID, "tenant", "", "tenant; required")
	c.Flags().StringVar(&f.Function, "function", "", "function; required")
	c.Flags().StringVar(&f.Subject, "subject", "", "subject; required")
	c.Flags().StringVar(&f.Source, "source", "", "source; required")
}

func (f *streamFlags) check(c *cobra.Command) error {
	if f.TenantID == "" || f.Function == "" || f.Subject == "" || f.Source == "" {
		return &usageError{command: c.CommandPath(), err: errors.New("--tenant, --function, --subject and --source are required: they name the stream")}
	}
	if err := checkFunction(f.Function); err != nil {
		return &usageError{command: c.CommandPath(), err: err}
	}
	return nil
}

func (a *app) streamsShowCommand() *cobra.Command {
	var f streamFlags
	var asJSON bool
	c := &cobra.Command{
		Use:     "show",
		Short:   "Show one stream: its gaps, what is parked, dead letters that could close a gap, and what was done",
		Example: `  millrace streams show --tenant acme --function trade --subject account-1 --source /desk`,
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.check(c); err != nil {
				return err
			}
			return a.withPool(c.Context(), func(pool *pgxpool.Pool) error {
				w, err := streams.Get(c.Context(), pool, f.Name)
				if errors.Is(err, streams.ErrNone) {
					return fmt.Errorf("%s: %w", cell(f.Name.String(), 1000), err)
				}
				if err != nil {
					return err
				}
				if asJSON {
					return a.writeJSON(w)
				}
				a.showStream(w)
				return nil
			})
		},
	}
	f.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func (a *app) showStream(w *streams.Whole) {
	fmt.Fprintf(a.Out, "%s is decided up to %d; %d parked\n", cell(w.Name.String(), 1000), w.Position, w.Parked)
	for _, g := range w.Gaps {
		fmt.Fprintf(a.Out, "missing  %s\n", g)
	}
	for _, l := range w.Letters {
		fmt.Fprintf(a.Out, "dead letter  %d is %s (%s, %s)\n", l.Sequence, l.ID, cell(l.Reason, 64), l.State)
	}
	for _, p := range w.Waiting {
		fmt.Fprintf(a.Out, "parked  %d  %s  %s  since %s\n", p.Sequence, cell(p.ID, 512), cell(p.Type, 128), moment(p.At))
	}
	if n := w.Parked - len(w.Waiting); n > 0 {
		fmt.Fprintf(a.Out, "parked  %d more\n", n)
	}
	for _, o := range w.History {
		fmt.Fprintf(a.Out, "%s  %s %s by %s: %s\n", moment(o.At), o.What, o.Over, cell(o.Who, 100), cell(o.Why, 1000))
	}
}

type moveOptions struct {
	streamFlags
	operatorFlags

	sequence string
	asJSON   bool
}

func (o *moveOptions) add(c *cobra.Command, sequence string) {
	o.streamFlags.add(c)
	o.operatorFlags.add(c, "reason, for the record; required")
	c.Flags().StringVar(&o.sequence, "sequence", "", sequence)
	c.Flags().BoolVar(&o.asJSON, "json", false, "as JSON")
}

func (o *moveOptions) check(c *cobra.Command) error {
	if err := o.streamFlags.check(c); err != nil {
		return err
	}
	if o.sequence == "" || o.why == "" {
		return &usageError{command: c.CommandPath(), err: errors.New("--sequence and --why are required")}
	}
	return nil
}

func (a *app) streamsSkipCommand() *cobra.Command {
	var o moveOptions
	c := &cobra.Command{
		Use:   "skip",
		Short: "Give a missing event up, so that its stream goes on",
		Long: `Gives up the event, or the events, that a stream waits for: what is parked behind
them is decided, within seconds, by the relay. If one of them still comes it is a
dead letter: its sequence is taken.

It has to be what the stream waits for just now, and nothing that is parked or
a dead letter: that is redriven, or dropped first. What functions emit cannot be
skipped.`,
		Example: `  millrace streams skip --tenant acme --function trade --subject account-1 --source /desk \
    --sequence 5 --why "desk lost it in the restart, booked by hand"
  millrace streams skip --tenant acme --function trade --subject account-1 --source /desk --sequence 5-7 --why "..."`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			lost, err := parseRange(o.sequence)
			if err != nil {
				return &usageError{command: c.CommandPath(), err: err}
			}
			return a.move(c.Context(), &o, func(pool *pgxpool.Pool, by operations.Operator) (streams.Moved, error) {
				return streams.Skip(c.Context(), pool, o.Name, lost, by)
			})
		},
	}
	o.add(c, "what is missing: 5, or 5-7; required")
	return c
}

func (a *app) streamsAdoptCommand() *cobra.Command {
	var o moveOptions
	c := &cobra.Command{
		Use:   "adopt",
		Short: "Take a stream over that does not start at 1",
		Long: `Lets a stream of which nothing was decided start at a sequence other than 1, as
when a producer had numbered events before it sent them here. What is parked from
there on is decided, within seconds, by the relay.`,
		Example: `  millrace streams adopt --tenant acme --function trade --subject account-1 --source /desk \
    --sequence 1041 --why "desk moved here on 24 November"`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			first, err := strconv.ParseInt(o.sequence, 10, 64)
			if err != nil {
				return &usageError{command: c.CommandPath(), err: fmt.Errorf("--sequence %q is no number", o.sequence)}
			}
			return a.move(c.Context(), &o, func(pool *pgxpool.Pool, by operations.Operator) (streams.Moved, error) {
				return streams.Adopt(c.Context(), pool, o.Name, first, by)
			})
		},
	}
	o.add(c, "the first one of the stream; required")
	return c
}

// parseRange reads 5 or 5-7.
func parseRange(text string) (r streams.Range, err error) {
	from, to, is := strings.Cut(text, "-")
	if !is {
		to = from
	}
	var errTo error
	r.From, err = strconv.ParseInt(from, 10, 64)
	r.To, errTo = strconv.ParseInt(to, 10, 64)
	if err != nil || errTo != nil || r.From < 1 || r.To < r.From {
		return r, fmt.Errorf("--sequence %q: want a number, or two such as 5-7", text)
	}
	return r, nil
}

func (a *app) move(ctx context.Context, o *moveOptions, do func(*pgxpool.Pool, operations.Operator) (streams.Moved, error)) error {
	return a.withPool(ctx, func(pool *pgxpool.Pool) error {
		m, err := do(pool, operations.Operator{Who: o.who, Why: o.why})
		switch {
		case err != nil:
			return err
		case o.asJSON:
			return a.writeJSON(m)
		case m.Next == m.Position+1:
			fmt.Fprintf(a.Out, "%s goes on at %d: the relay drains what is ready of %d parked\n", cell(m.Name.String(), 1000), m.Next, m.Parked)
		default:
			fmt.Fprintf(a.Out, "%s goes on at %d, and waits for %s now\n", cell(m.Name.String(), 1000), m.Position+1, streams.Range{From: m.Position + 1, To: m.Next - 1})
		}
		return nil
	})
}
