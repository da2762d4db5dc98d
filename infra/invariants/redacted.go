package invariants

import (
	"bytes"
	"context"
	"maps"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
)

const (
	readRedacted = `
SELECT r.tenant_id, r.subject, r.source, r.id
FROM unnest($2::text[], $3::text[]) AS batch (tenant_id, subject)
JOIN millrace.redactions AS r ON r.tenant_id = batch.tenant_id AND r.function = $1 AND r.subject = batch.subject`

	readCopies = `
SELECT 'parked' AS place, p.event::text::bytea AS event
FROM unnest($2::text[], $3::text[]) AS batch (tenant_id, subject)
JOIN millrace.parked AS p ON p.tenant_id = batch.tenant_id AND p.function = $1 AND p.subject = batch.subject
UNION ALL
SELECT 'dead letters', d.event
FROM unnest($2::text[], $3::text[]) AS batch (tenant_id, subject)
JOIN millrace.dead_letters AS d ON d.tenant_id = batch.tenant_id AND d.function = $1 AND d.subject = batch.subject`
)

// redacted are the redacted events of a page of entities: those that the
// database remembers, and those that the fold redacts. It is empty for a function
// that has nothing to redact.
type redacted map[[2]string]*redactions

type redactions struct {
	remembered, folded map[function.Name]bool
	// unsound: what the fold redacts is not known.
	unsound bool
}

func (c *check) readRedacted(ctx context.Context, tx pgx.Tx, fn function.Definition, heads []function.Head) (redacted, error) {
	r := redacted{}
	if !function.HasConfidential(fn) {
		return r, nil
	}
	for _, h := range heads {
		r[[2]string{h.TenantID, h.Subject}] = &redactions{remembered: map[function.Name]bool{}, folded: map[function.Name]bool{}}
	}
	tenants, subjects := keys(heads)
	rows, err := tx.Query(ctx, readRedacted, fn.FunctionName(), tenants, subjects)
	if err != nil {
		return nil, err
	}
	var tenant, subject string
	var name function.Name
	_, err = pgx.ForEachRow(rows, []any{&tenant, &subject, &name.Source, &name.ID}, func() error {
		r[[2]string{tenant, subject}].remembered[name] = true
		return nil
	})
	return r, err
}

func keys(heads []function.Head) (tenants, subjects []string) {
	return function.Column(heads, func(h function.Head) string { return h.TenantID }),
		function.Column(heads, func(h function.Head) string { return h.Subject })
}

// decided notes what a decision of the fold redacts.
func (r redacted) decided(e *event.Event, fx *function.Effects) {
	if of := r[[2]string{e.TenantID, e.Subject}]; of != nil {
		for _, name := range fx.Redacted {
			of.folded[name] = true
		}
	}
}

// leave says that the audit log of an entity cannot be folded.
func (r redacted) leave(h *function.Head) {
	if of := r[[2]string{h.TenantID, h.Subject}]; of != nil {
		of.unsound = true
	}
}

// checkHidden is I8 for one copy of an event: it reports whether the event
// concerns a redaction.
func (c *check) checkHidden(r redacted, e *event.Event, payload any, where string) bool {
	of := r[[2]string{e.TenantID, e.Subject}]
	if of == nil || !function.Concerns(e, payload, of.remembered) {
		return false
	}
	if !bytes.Equal(function.Masked(e, payload).Data, e.Data) {
		c.brokenf("I8", "events that still say what was redacted", "%s: %s", where, name(e))
	}
	return true
}

// checkCopies is I8 for what else is stored of a page of folded entities.
func (c *check) checkCopies(ctx context.Context, tx pgx.Tx, fn function.Definition, heads []function.Head, r redacted) error {
	for key, of := range r {
		if !of.unsound && !maps.Equal(of.remembered, of.folded) {
			c.brokenf("I8", "entities that remember other redactions than the fold gives", "%s %s/%s: %d, folded %d",
				fn.FunctionName(), key[0], key[1], len(of.remembered), len(of.folded))
		}
	}
	if len(r) == 0 {
		return nil
	}
	tenants, subjects := keys(heads)
	rows, err := tx.Query(ctx, readCopies, fn.FunctionName(), tenants, subjects)
	if err != nil {
		return err
	}
	var place string
	var raw []byte
	_, err = pgx.ForEachRow(rows, []any{&place, &raw}, func() error {
		if e := event.ParseStructured(raw).Event; e != nil {
			payload, _ := fn.Decode(e) // nil if it cannot be
			c.checkHidden(r, e, payload, place)
		}
		return nil
	})
	return err
}
