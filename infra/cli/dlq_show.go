package cli

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/infra/deadletters"
)

func (a *app) dlqShowCommand() *cobra.Command {
	var asJSON, raw bool
	c := &cobra.Command{
		Use:   "show id",
		Short: "Show one dead letter: its attributes, cause, event and history",
		Example: `  millrace dlq show 5b0f5f3c-8a55-d2a9-07ab-6f1a58b1a3c4
  millrace dlq show --raw 5b0f5f3c-8a55-d2a9-07ab-6f1a58b1a3c4 > event.json`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &usageError{command: c.CommandPath(), err: errors.New("want the id of one dead letter")}
			}
			id, err := uuid.Parse(args[0])
			if err != nil {
				return &usageError{command: c.CommandPath(), err: fmt.Errorf("%q is no id of a dead letter", args[0])}
			}
			return a.dlqShow(c.Context(), id, asJSON, raw)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	c.Flags().BoolVar(&raw, "raw", false, "the event or its bytes alone, as they are")
	return c
}

func (a *app) dlqShow(ctx context.Context, id uuid.UUID, asJSON, raw bool) error {
	return a.withPool(ctx, func(pool *pgxpool.Pool) error {
		w, err := deadletters.Get(ctx, pool, id)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", id, err)
		case raw:
			_, err := a.Out.Write(w.Event)
			return err
		case asJSON:
			return a.writeJSON(wholeJSON(w))
		default:
			return a.showLetter(w)
		}
	})
}

func wholeJSON(w *deadletters.Whole) any {
	out := struct {
		deadletters.Letter

		Event   json.RawMessage         `json:"event,omitempty"`
		Bytes   []byte                  `json:"bytes,omitempty"` // base64, if it is no JSON
		Only    bool                    `json:"attributesOnly,omitempty"`
		History []deadletters.Operation `json:"history"`
	}{Letter: w.Letter, Only: w.AttributesOnly(), History: w.History}
	if json.Valid(w.Event) {
		out.Event = w.Event
	} else {
		out.Bytes = w.Event
	}
	return out
}

func (a *app) showLetter(w *deadletters.Whole) error {
	table := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	const whole = 1 << 20
	for _, line := range [][2]string{
		{"id", w.ID.String()}, {"state", w.State}, {"since", moment(w.CreatedAt) + " UTC"}, {"function", w.Function},
		{"tenant", w.TenantID}, {"subject", w.Subject}, {"source", w.Source}, {"event id", w.EventID}, {"type", w.Type},
		{"kind", w.Kind}, {"reason", w.Reason}, {"cause", w.Cause},
	} {
		fmt.Fprintf(table, "%s\t%s\n", line[0], cell(line[1], whole))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(a.Out, "\n%s\n", readable(w.Event))
	if w.AttributesOnly() {
		fmt.Fprintf(a.Out, "\nThis is all that was kept: it could not be read, and %s has something to redact (docs/redaction.md).\n", w.Function)
	}
	if len(w.History) > 0 {
		fmt.Fprintln(a.Out)
	}
	for _, o := range w.History {
		why := ""
		if o.Why != "" {
			why = ": " + cell(o.Why, 1000)
		}
		fmt.Fprintf(a.Out, "%s  %s by %s%s\n", moment(o.At), o.What, cell(o.Who, 100), why)
	}
	return nil
}

// readable writes an event for people: JSON with its lines, other text quoted,
// other bytes in hexadecimal.
func readable(raw []byte) string {
	var out bytes.Buffer
	if utf8.Valid(raw) && json.Indent(&out, raw, "", "  ") == nil {
		return out.String()
	}
	if utf8.Valid(raw) {
		return fmt.Sprintf("no JSON: %q", raw)
	}
	return "no text:\n" + hex.Dump(raw)
}
