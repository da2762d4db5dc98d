package agent

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/function/functiontest"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

func TestStoredEqualsTheFold(t *testing.T) {
	t.Parallel()
	functiontest.PartialLoads(t, New(), stacktest.Postgres(t), history)
}

// TestBatchOfAgents: a batch has several, some with nothing to be written, and
// takes one statement all the same.
func TestBatchOfAgents(t *testing.T) {
	t.Parallel()
	conn := functiontest.Connect(t, stacktest.Postgres(t))
	store := functiontest.NewStore(New(), conn)
	of := func(subject string, e *event.Event) *event.Event {
		e.Subject = subject
		return e
	}
	store.Batch(t.Context(), t, []*event.Event{
		of("a", told("signed-in", "1", `{"skills":["fr","billing"],"features":{"x":true}}`)),
		of("b", told("skills-changed", "2", `{"skills":[]}`)),
		of("c", told("signed-out", "3", `{}`)),
		of("d", told("skills-changed", "4", `{"skills":["fr"]}`)),
	})
	rows, err := conn.Query(t.Context(), `SELECT agent FROM millrace.agents WHERE skills @> ARRAY['fr'] ORDER BY agent`)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := pgx.CollectRows(rows, pgx.RowTo[string]); err != nil || len(got) != 2 || got[0] != "a" || got[1] != "d" {
		t.Errorf("%q speak French: %v", got, err)
	}
	for subject, want := range map[string]string{
		"a": `{"status":"available","since":"2025-03-14T09:26:53Z","session":1,"skills":["fr","billing"],"features":{"x":true},"version":1}`,
		"b": `{"status":"signed-out","since":"2025-03-14T09:26:53Z","session":0,"version":1}`,
		"c": `{"session":0,"version":0}`,
	} {
		if got := store.State(t.Context(), t, subject); got != want {
			t.Errorf("%s is %s, want %s", subject, got, want)
		}
	}
	b := &pgx.Batch{}
	save(b, []*function.Entity[Agent]{{State: Agent{changed: true}}, {State: Agent{changed: true}}, {}})
	if b.Len() != 1 {
		t.Errorf("%d statements", b.Len())
	}
}
