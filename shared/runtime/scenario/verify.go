package scenario

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/function/functiontest"
	"github.com/millrace/millrace/shared/views"
)

const (
	readEntities = `SELECT tenant_id, subject, version FROM millrace.entities WHERE function = $1`

	readAudit = `
SELECT version, source, id, type, time, coalesce(sequence, 0), data, outcome, reason
FROM millrace.audit
WHERE function = $1 AND tenant_id = $2 AND subject = $3
ORDER BY version`
)

// Verify relays what is left, and then holds each entity against its audit log:
// folded from the beginning it gives the outcomes and the state that the
// database has, and Redis shows that state.
func (w *World) Verify(t *testing.T) {
	t.Helper()
	w.Relay(t.Context(), t)
	if left := w.query(t, "SELECT * FROM millrace.outbox"); len(left) > 0 {
		t.Errorf("in the outbox is left:\n%s", formatRows(left))
	}
	rows, err := w.pool.Query(t.Context(), readEntities, w.fn.FunctionName())
	if err != nil {
		t.Fatal(err)
	}
	heads, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (h function.Head, err error) {
		return h, row.Scan(&h.TenantID, &h.Subject, &h.Version)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, head := range heads {
		w.verifyState(t, head)
		w.verifyViews(t, head)
	}
}

// State returns the whole state of an entity, as the database has it.
func (w *World) State(ctx context.Context, t functiontest.TB, tenantID, subject string) string {
	t.Helper()
	state, err := w.load(ctx, t, function.Head{TenantID: tenantID, Subject: subject}, w.fn.QueueLoadAll).StateJSON()
	if err != nil {
		t.Fatalf("rendering the state of %s: %v", subject, err)
	}
	return state
}

func (w *World) verifyState(t *testing.T, head function.Head) {
	t.Helper()
	stored := w.load(t.Context(), t, head, w.fn.QueueLoadAll)
	folded := w.fold(t, head)
	if v := folded.Header().Version; v != head.Version {
		t.Errorf("entity %s is at version %d, its audit log at %d", head.Subject, head.Version, v)
	}
	got, err := stored.StateJSON()
	want, foldErr := folded.StateJSON()
	if err := errors.Join(err, foldErr); err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("entity %s: the tables have\n%s\nthe audit log gives\n%s", head.Subject, got, want)
	}
}

func (w *World) fold(t *testing.T, head function.Head) function.Instance {
	t.Helper()
	rows, err := w.pool.Query(t.Context(), readAudit, w.fn.FunctionName(), head.TenantID, head.Subject)
	if err != nil {
		t.Fatal(err)
	}
	i := w.fn.NewEntity(function.Head{TenantID: head.TenantID, Subject: head.Subject})
	e := &event.Event{TenantID: head.TenantID, Subject: head.Subject, IsJSON: true}
	var version int64
	var outcome, reason string
	_, err = pgx.ForEachRow(rows, []any{&version, &e.Source, &e.ID, &e.Type, &e.Time, &e.Sequence, &e.Data, &outcome, &reason}, func() error {
		decided := *e
		decided.Time = e.Time.UTC()
		payload, err := w.fn.Decode(&decided)
		if err != nil {
			return err
		}
		_, err = w.fn.Decide(i, &decided, payload)
		var refused *function.Refusal
		switch {
		case errors.As(err, &refused) && (outcome != "refused" || reason != refused.Reason),
			err == nil && outcome != "applied":
			t.Errorf("event %s was %s %s, and now comes out as %v", e.ID, outcome, reason, err)
		case err != nil && refused == nil:
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatalf("folding entity %s: %v", head.Subject, err)
	}
	return i
}

func (w *World) verifyViews(t *testing.T, head function.Head) {
	t.Helper()
	i := w.load(t.Context(), t, head, w.fn.QueueLoadViews)
	found, err := views.Diff(t.Context(), w.redis, w.fn.RenderViews(i))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range found {
		t.Errorf("Redis differs: %s", d)
	}
}

func (w *World) load(ctx context.Context, t functiontest.TB, head function.Head, queue func(*pgx.Batch, []function.Instance)) function.Instance {
	t.Helper()
	i := w.fn.NewEntity(head)
	b := &pgx.Batch{}
	queue(b, []function.Instance{i})
	if err := w.pool.SendBatch(ctx, b).Close(); err != nil {
		t.Fatalf("loading entity %s: %v", head.Subject, err)
	}
	return i
}
