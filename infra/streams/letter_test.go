package streams_test

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/infra/operations"
	"github.com/millrace/millrace/infra/streams"
	"github.com/millrace/millrace/shared/event"
)

// An event that is a dead letter is not passed over, however many newer ones its
// stream has.
func TestLetterFarBack(t *testing.T) {
	t.Parallel()
	pool, processor := newTrade(t)
	bad := executed(1)
	bad.Err = event.Invalidf("unknown-type", "not yet")
	if _, err := processor.Process(t.Context(), []event.Received{bad, executed(3)}); err != nil {
		t.Fatal(err)
	}
	const more = `
INSERT INTO millrace.dead_letters (id, function, tenant_id, source, event_id, type, subject, kind, reason, cause, event, created_at)
SELECT gen_random_uuid(), function, tenant_id, source, n::text, type, subject, kind, reason, cause, 'nonsense', created_at + interval '1 second'
FROM millrace.dead_letters, generate_series(1, 1000) AS n`
	if _, err := pool.Exec(t.Context(), more); err != nil {
		t.Fatal(err)
	}
	by := operations.Operator{Who: "ann", Why: "lost"}
	_, errSkip := streams.Skip(t.Context(), pool, name, streams.Range{From: 1, To: 2}, by)
	_, errAdopt := streams.Adopt(t.Context(), pool, name, 3, by)
	for _, err := range []error{errSkip, errAdopt} {
		if err == nil || !strings.Contains(err.Error(), "sequence 1 of") {
			t.Errorf("error %v", err)
		}
	}
}
