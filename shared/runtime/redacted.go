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

// Others' entities, of which the batch has copies, are locked too, after its own:
// one that is redacted just now is waited for. A deadlock is tried again.
const lockElsewhere = `
SELECT
FROM unnest($2::text[], $3::text[]) AS batch (tenant_id, subject)
CROSS JOIN LATERAL (
    SELECT
    FROM millrace.entities AS e
    WHERE e.tenant_id = batch.tenant_id AND e.function = $1 AND e.subject = batch.subject
    FOR SHARE
) AS e`

// Under the entities' locks, so that no redaction is missed.
const readRedactions = `
SELECT r.tenant_id, r.subject, r.source, r.id
FROM unnest($2::text[], $3::text[]) AS batch (tenant_id, subject)
CROSS JOIN LATERAL (
    SELECT *
    FROM millrace.redactions AS r
    WHERE r.tenant_id = batch.tenant_id AND r.function = $1 AND r.subject = batch.subject
    ORDER BY r.source, r.id -- else it is a join, for which a young table is read whole
) AS r`

// hide takes what is confidential out of the batch's events that concern one
// that was redacted, before they are stored anywhere. Their digests stay. The
// rules decide them all the same.
//
// An event with the identity of another entity's may be a copy of that one, so
// it concerns that entity's redactions too.
func (t *transaction) hide(ctx context.Context, conn *pgxpool.Conn) error {
	if !t.confidential {
		return nil
	}
	copies := map[*candidate]entityKey{} // of whose event
	for _, c := range t.batch {
		if !c.identified() {
			continue
		}
		if seen := t.known.seen[c.identity()]; seen != nil && seen.subject != c.event.Subject {
			copies[c] = entityKey{c.event.TenantID, seen.subject}
		}
	}
	if err := t.lockElsewhere(ctx, conn, slices.Collect(maps.Values(copies))); err != nil {
		return err
	}
	if err := t.readRedactions(ctx, conn); err != nil {
		return err
	}
	for _, c := range t.batch {
		if !c.identified() {
			continue
		}
		if function.Concerns(c.event, c.payload, t.redacted[c.entity()]) ||
			function.Concerns(c.event, c.payload, t.redacted[copies[c]]) {
			t.mask(c, c.payload)
		}
	}
	return nil
}

// lockElsewhere has the redactions of these entities read too.
func (t *transaction) lockElsewhere(ctx context.Context, conn *pgxpool.Conn, keys []entityKey) error {
	if len(keys) == 0 {
		return nil
	}
	slices.SortFunc(keys, compareEntities)
	for _, key := range keys {
		if t.redacted[key] == nil {
			t.redacted[key] = map[function.Name]bool{}
		}
	}
	tenants, subjects := columns2(keys)
	if _, err := conn.Exec(ctx, lockElsewhere, t.fn.FunctionName(), tenants, subjects); err != nil {
		return fmt.Errorf("locking the entities of copies: %w", err)
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
