package soak

import (
	"context"
	"fmt"

	"github.com/millrace/millrace/infra/invariants"
)

// Identities of events that trades lead to are Millrace's own.
const countDecided = `
SELECT count(*) FILTER (WHERE NOT own), count(DISTINCT (tenant_id, source, id)) FILTER (WHERE NOT own), count(*) FILTER (WHERE own)
FROM (SELECT tenant_id, source, id, starts_with(source, '/millrace/') AS own FROM millrace.audit) AS audit`

const countRest = `
SELECT (SELECT count(*) FROM millrace.parked),
       (SELECT count(*) FROM millrace.dead_letters WHERE kind = 'undecided')`

// judge compares what there is with what has to be there.
func (s *soak) judge(ctx context.Context, r *Result) (err error) {
	var rows, identities int
	f := &r.Found
	if err := s.pool.QueryRow(ctx, countDecided).Scan(&rows, &identities, &f.Emitted); err != nil {
		return fmt.Errorf("counting decisions: %w", err)
	}
	if err := s.pool.QueryRow(ctx, countRest).Scan(&f.Parked, &f.Dead); err != nil {
		return fmt.Errorf("counting parked events and dead letters: %w", err)
	}
	f.Decided = rows + f.Emitted
	e := &r.Expected
	r.Twice = rows - identities
	r.Lost = max(0, e.Decided-identities) + max(0, e.Parked-f.Parked)
	r.Report, err = invariants.Check(ctx, s.deps())
	return err
}
