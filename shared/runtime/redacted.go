package runtime

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
)

// privacy is what redacting a function's events needs to know of it.
type privacy struct {
	confidential bool     // there is something to redact
	referring    []string // the types that refer to other events
}

func privacyOf(fn function.Definition) privacy {
	return privacy{function.HasConfidential(fn), function.ReferringTypes(fn)}
}

// Under the entities' locks, so that no redaction is missed.
const readRedactions = `
SELECT r.tenant_id, r.subject, r.source, r.id
FROM unnest($2::text[], $3::text[]) AS batch (tenant_id, subject)
JOIN millrace.redactions AS r ON r.tenant_id = batch.tenant_id AND r.function = $1 AND r.subject = batch.subject`

// hide takes what is confidential out of the batch's events that concern one
// that was redacted, before they are stored anywhere. Their digests stay. The
// rules decide them all the same.
//
// An event with the identity of another entity's, whose redactions are not
// known here, loses all of its data.
func (t *transaction) hide(ctx context.Context, conn *pgxpool.Conn) error {
	if !t.confidential {
		return nil
	}
	if err := t.readRedactions(ctx, conn); err != nil {
		return err
	}
	for _, c := range t.batch {
		if !c.identified() {
			continue
		}
		seen := t.known.seen[c.identity()]
		switch {
		case seen != nil && seen.subject != c.event.Subject:
			t.mask(c, nil)
		case function.Concerns(c.event, c.payload, t.redacted[c.entity()]):
			t.mask(c, c.payload)
		}
	}
	return nil
}

// readRedactions reads those of the entities that have any: few do.
func (t *transaction) readRedactions(ctx context.Context, conn *pgxpool.Conn) error {
	if len(t.redacted) == 0 {
		return nil
	}
	tenants, subjects := columns2(slices.Collect(maps.Keys(t.redacted)))
	rows, err := conn.Query(ctx, readRedactions, t.fn.FunctionName(), tenants, subjects)
	if err != nil {
		return fmt.Errorf("reading redactions: %w", err)
	}
	var key entityKey
	var name function.Name
	_, err = pgx.ForEachRow(rows, []any{&key.tenant, &key.subject, &name.Source, &name.ID}, func() error {
		t.redacted[key][name] = true
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading redactions: %w", err)
	}
	return nil
}

func (t *transaction) mask(c *candidate, payload any) {
	c.event = function.Masked(c.event, payload)
	c.raw = event.AppendJSON(nil, c.event)
	if c.invalid == nil && payload != nil {
		var err error
		c.payload, err = t.fn.Decode(c.event)
		c.invalid = event.AsInvalid(err)
	}
}
