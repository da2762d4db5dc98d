package scenario

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/runtime"
)

const (
	readDead = `
SELECT kind, tenant_id, event_id AS id, reason, cause
FROM millrace.dead_letters
ORDER BY created_at, event_id COLLATE "C", cause COLLATE "C"`

	readStreams = `
SELECT s.tenant_id, s.subject, s.source, s.position,
       string_agg(p.sequence || ':' || p.id, ',' ORDER BY p.sequence) AS parked
FROM millrace.streams AS s
LEFT JOIN millrace.parked AS p USING (tenant_id, function, subject, source)
GROUP BY s.tenant_id, s.function, s.subject, s.source, s.position
ORDER BY s.tenant_id COLLATE "C", s.subject COLLATE "C", s.source COLLATE "C"`
)

// Run runs each scenario of a folder in a world of its own. The world's
// database and Redis are what the given functions return.
func Run(t *testing.T, fn function.Definition, folder string, database, redis func(testing.TB) string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios in %s: %v", folder, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			w := New(t, fn, database(t), redis(t), runtime.Limits{Drain: 3, Parked: 5, DeadLetters: 1000})
			datadriven.RunTest(t, file, w.command)
			w.Verify(t)
		})
	}
}

// command runs one command of a script.
func (w *World) command(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	switch d.Cmd {
	case "send":
		return w.send(t, d)
	case "emitted":
		return formatMessages(w.Published(t.Context(), t))
	case "rows":
		return w.rows(t, d)
	case "query":
		return formatRows(w.query(t, d.Input))
	case "dead":
		return formatRows(w.query(t, readDead))
	case "streams":
		return formatRows(w.query(t, readStreams))
	case "redis":
		w.Relay(t.Context(), t)
		return w.shown(t)
	}
	d.Fatalf(t, "there is no command %q", d.Cmd)
	return ""
}

func (w *World) send(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	events, names, err := parseEvents(d.Input)
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	var out strings.Builder
	for n, o := range w.Send(t.Context(), t, events) {
		fmt.Fprintf(&out, "%s %s\n", quote(names[n]), formatOutcome(o))
	}
	return out.String()
}

func formatOutcome(o runtime.Outcome) string {
	switch o.Kind {
	case runtime.Applied:
		return fmt.Sprintf("applied as %d", o.Version)
	case runtime.Duplicate:
		return strings.TrimSpace(fmt.Sprintf("duplicate of %d, %s %s", o.Version, o.First, o.Reason))
	case runtime.Refused:
		return fmt.Sprintf("refused as %d: %s: %s", o.Version, o.Reason, o.Detail)
	case runtime.DeadLettered:
		return fmt.Sprintf("dead: %s: %s", o.Reason, o.Detail)
	}
	return string(o.Kind)
}
