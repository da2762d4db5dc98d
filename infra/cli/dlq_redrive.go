package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/infra/cli/terminal"
	"github.com/millrace/millrace/infra/deadletters"
	"github.com/millrace/millrace/infra/operations"
)

type redriveOptions struct {
	selectionFlags
	operatorFlags

	dryRun, yes, wait, asJSON bool
	timeout                   time.Duration
}

func (a *app) dlqRedriveCommand() *cobra.Command {
	var o redriveOptions
	c := &cobra.Command{
		Use:   "redrive [id...]",
		Short: "Send the events of dead letters to their functions once more",
		Long: `Sends the events of dead letters to their functions once more, by Kafka, so that
the rules that are deployed now decide them. An undecided event is delivered as
if its producer had sent it again: it takes its sequence, and closes the gap that
it left. A refused event is decided again, at the end of its entity.

Each redrive has one effect, however often a command or a record comes twice. If
an event fails again, its dead letter is open again, with the new reason. A
redrive that was interrupted is taken up by giving the same command again.

With --wait it says what became of each. The exit status is 1 if one could not be
sent or nothing was found, and with --wait also if one failed again or nothing is known of it.`,
		Example: `  millrace dlq redrive 5b0f5f3c-8a55-d2a9-07ab-6f1a58b1a3c4 --wait
  millrace dlq redrive --function trade --reason unknown-type --dry-run
  millrace dlq redrive --function trade --reason unknown-type --yes --wait --why "trade 1.4 is deployed"`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.mends(c, args, deadletters.Open, deadletters.Redriving); err != nil {
				return err
			}
			return a.redrive(c.Context(), &o)
		},
	}
	o.selectionFlags.add(c, deadletters.Open, deadletters.Redriving)
	o.operatorFlags.add(c, "reason, for the record")
	f := c.Flags()
	f.BoolVar(&o.all, "all", false, "all that are open and fit the other flags")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be sent, and send nothing")
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask, however many there are")
	f.BoolVarP(&o.wait, "wait", "w", false, "wait for what the functions decide")
	o.timeout = 30 * time.Second
	spanVar(c, &o.timeout, "timeout", "how long to wait for 200 of them")
	f.BoolVar(&o.asJSON, "json", false, "a line of JSON for each")
	return c
}

func (a *app) redrive(ctx context.Context, o *redriveOptions) (err error) {
	st, err := a.stores("DATABASE_URL", "KAFKA_BROKERS")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.close()) }()
	pool, err := st.postgres(ctx)
	if err != nil {
		return err
	}
	total, err := deadletters.Count(ctx, pool, o.Selection)
	if err != nil {
		return err
	}
	r := &redriving{app: a, o: o, pool: pool, taken: map[uuid.UUID]bool{}, bar: terminal.NewBar(a.Err, "redriving", int64(total))}
	if o.dryRun {
		return r.end(ctx, deadletters.Preview(ctx, pool, o.Selection, r.page))
	}
	if total > 1 && !o.yes {
		if err := a.confirm(fmt.Sprintf("Redrive %s?", count(total))); err != nil {
			return err
		}
	}
	producer, err := st.producer("millrace-dlq")
	if err != nil {
		return err
	}
	by := operations.Operator{Who: o.who, Why: o.why}
	return r.end(ctx, deadletters.Redrive(ctx, pool, producer, o.Selection, by, r.page))
}

// count says how many dead letters there are, as far as they are counted.
func count(n int) string {
	if n == deadletters.MaxCount {
		return several(n, "dead letter") + " or more"
	}
	return several(n, "dead letter")
}

// redriving tells what becomes of dead letters.
type redriving struct {
	*app

	o    *redriveOptions
	pool *pgxpool.Pool
	bar  *terminal.Bar

	done, sent, unsent int
	taken              map[uuid.UUID]bool
	fates              map[string]int
}

// page tells of a page, after waiting for it if that is asked for: so a large
// redrive goes no faster than the functions.
func (r *redriving) page(ctx context.Context, page []deadletters.Sent) error {
	var ids []uuid.UUID
	r.bar.Clear()
	for _, s := range page {
		r.taken[s.ID] = true
		if s.Err != nil {
			r.unsent++
			r.tell(s.Letter, "not sent", s.Err.Error(), 0)
			continue
		}
		r.sent++
		ids = append(ids, s.ID)
		if r.o.dryRun || !r.o.wait {
			r.tell(s.Letter, map[bool]string{true: "would be sent", false: "sent"}[r.o.dryRun], "", 0)
		}
	}
	r.done += len(page)
	if r.o.wait && !r.o.dryRun && len(ids) > 0 {
		if err := r.await(ctx, ids); err != nil {
			return err
		}
	}
	r.bar.Set(int64(r.done), fmt.Sprintf("%d sent", r.sent))
	return nil
}

func (r *redriving) await(ctx context.Context, ids []uuid.UUID) error {
	ctx, cancel := context.WithTimeout(ctx, r.o.timeout)
	defer cancel()
	fates, err := deadletters.Await(ctx, r.pool, ids)
	for _, f := range fates {
		if r.fates == nil {
			r.fates = map[string]int{}
		}
		r.fates[f.Outcome]++
		detail := ""
		switch f.Outcome {
		case "failed":
			detail = f.Reason + ": " + f.Cause
		case "waiting":
			detail = "its function has not decided it yet"
		}
		r.tell(f.Letter, f.Outcome, detail, f.Version)
	}
	return err
}

// tell writes a line for one, of which at least the id is known.
func (r *redriving) tell(l deadletters.Letter, outcome, detail string, version int64) {
	if r.o.asJSON {
		r.writeLine(struct {
			ID      uuid.UUID `json:"id"`
			Outcome string    `json:"outcome"`
			Detail  string    `json:"detail,omitempty"`
			Version int64     `json:"version,omitempty"`
		}{l.ID, outcome, detail, version})
		return
	}
	line := l.ID.String() + "  "
	if l.Function != "" {
		line += fmt.Sprintf("%s %s/%s %s  ", l.Function, cell(l.TenantID, 64), cell(l.Subject, 128), cell(l.EventID, 64))
	}
	line += outcome
	if version > 0 {
		line += fmt.Sprintf(", version %d", version)
	}
	if detail != "" {
		line += ": " + cell(detail, 300)
	}
	fmt.Fprintln(r.Out, line)
}

// end says what became of the ids that were given, and how many there were, also
// where err ended it.
func (r *redriving) end(ctx context.Context, err error) error {
	r.bar.Clear()
	if err == nil {
		var rest int
		rest, err = r.o.rest(ctx, r.pool, r.taken, func(id uuid.UUID, why string) {
			r.tell(deadletters.Letter{ID: id}, "not sent", why, 0)
		})
		r.unsent += rest
	}
	r.sum()
	if err != nil {
		return err
	}
	if r.done == 0 {
		r.o.warn(r.app)
	}
	if r.done == 0 && r.o.narrow || r.unsent > 0 || r.fates["failed"]+r.fates["waiting"] > 0 {
		return errSilent
	}
	return nil
}

// sum says how many there were.
func (r *redriving) sum() {
	switch {
	case r.o.asJSON:
	case r.done+r.unsent == 0:
		fmt.Fprintln(r.Out, "no dead letters")
	case r.o.dryRun:
		fmt.Fprintf(r.Out, "%s would be sent, %d cannot be\n", count(r.sent), r.unsent)
	default:
		fmt.Fprintf(r.Out, "%s sent", count(r.sent))
		for _, outcome := range []string{"applied", "refused", "parked", "redriven", "failed", "waiting"} {
			if n := r.fates[outcome]; n > 0 {
				fmt.Fprintf(r.Out, ", %d %s", n, outcome)
			}
		}
		if r.unsent > 0 {
			fmt.Fprintf(r.Out, "; %d not sent", r.unsent)
		}
		fmt.Fprintln(r.Out)
	}
}
