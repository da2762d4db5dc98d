package maintenance_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/infra/maintenance"
	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/shared/runtime"
)

// What Kafka still has, a function may read again.
func TestHorizonIsLongerThanKafka(t *testing.T) {
	t.Parallel()
	if kafka := topics.Retention; kafka > time.Duration(maintenance.Horizon)*24*time.Hour {
		t.Errorf("Kafka keeps events for %v", kafka)
	}
}

// Identities are forgotten after the horizon, but for those that something
// waiting may need.
func TestIdentitiesAreForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for n := range 40 {
		w.apply(t, "trade.executed.v1", fmt.Sprint("T", n), "account", april, executed)
	}
	w.apply(t, "ledger.posted.v1", "L1", "journal", april, posted)
	refused, err := w.decide(t.Context(), "trade.cancelled.v1", "C1", "account", april, `{"trade":"none"}`)
	if err != nil || refused != runtime.Refused { // with an open dead letter
		t.Fatalf("%s, %v", refused, err)
	}
	w.exec(t, `INSERT INTO millrace.parked (tenant_id, function, subject, source, sequence, id, event, parked_at)
VALUES ('acme', 'trade', 'account', '/desk', 2, 'T1', '{}', now())`)
	const age = `UPDATE millrace.seen SET decided_at = now() - make_interval(days => $1) WHERE id = ANY ($2)`
	w.exec(t, age, 36, strings.Fields("T1 T2 T3 C1"))
	w.exec(t, age, 34, []string{"T4"})
	c := maintenance.Config{SeenAfter: 35, Now: time.Now(), Pages: 1}
	c.DryRun = true
	told := w.forget(t, c)
	c.DryRun = false
	expect(t, "what a dry run tells", told, w.forget(t, c))
	if !strings.HasPrefix(told, "deleted 2 rows: identities decided before 20") {
		t.Error(told)
	}
	expect(t, "left", w.text(t, `SELECT count(*)::text FROM millrace.seen`), "40")
	expect(t, "needed", w.text(t, `SELECT string_agg(id, ' ' ORDER BY id) FROM millrace.seen WHERE decided_at < now() - interval '35 days'`), "C1 T1")
	expect(t, "again", w.forget(t, c), "")
	// As docs/operations.md says.
	if repeat, err := w.decide(t.Context(), "trade.executed.v1", "T2", "account", april, executed); err != nil || repeat != runtime.DeadLettered {
		t.Errorf("a trade that comes again after the horizon: %s, %v", repeat, err)
	}
	w.exec(t, `DELETE FROM millrace.seen WHERE id = 'L1'`)
	w.apply(t, "ledger.posted.v1", "L1", "journal", april, posted)
	w.exec(t, `UPDATE millrace.dead_letters SET state = 'dropped'`)
	w.exec(t, `DELETE FROM millrace.parked`)
	if now := w.forget(t, c); !strings.HasPrefix(now, "deleted 2 rows") {
		t.Error("when nothing waits any more: ", now)
	}
}

// forget runs the maintenance, and tells what of it concerned seen.
func (w *world) forget(t *testing.T, c maintenance.Config) (told string) {
	t.Helper()
	c.Ahead = 1
	c.Tell = func(d maintenance.Done) {
		if d.Table == "seen" || d.Table == "dead_letters" {
			told += d.String()
		}
	}
	if err := maintenance.Run(t.Context(), w.url, c); err != nil {
		t.Error(err)
	}
	return told
}

// Dead letters go when they are settled, not when they are old.
func TestSettledDeadLettersAreDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for n := range 4 {
		_, err := w.decide(t.Context(), "trade.cancelled.v1", fmt.Sprint("C", n), "account", april, `{"trade":"none"}`)
		if err != nil {
			t.Fatal(err)
		}
	}
	w.exec(t, `UPDATE millrace.dead_letters SET created_at = now() - interval '50 days', state = CASE event_id
WHEN 'C0' THEN 'open' WHEN 'C1' THEN 'dropped' WHEN 'C2' THEN 'redriven' ELSE 'dropped' END`)
	w.exec(t, `INSERT INTO millrace.operations (who, what, why, function, tenant_id, subject, source, dead_letter, event_id)
SELECT 'me', 'drop', 'late', function, tenant_id, subject, source, id, event_id FROM millrace.dead_letters WHERE event_id = 'C3'`)
	c := maintenance.Config{SeenAfter: 36500, LettersAfter: 40, Now: time.Now()}
	c.DryRun = true
	told := w.forget(t, c)
	c.DryRun = false
	expect(t, "what a dry run tells", told, w.forget(t, c))
	if !strings.HasPrefix(told, "deleted 2 rows: settled before 20") {
		t.Error(told)
	}
	expect(t, "left", w.text(t, `SELECT string_agg(event_id, ' ' ORDER BY event_id) FROM millrace.dead_letters`), "C0 C3")
}

// A clock that is ahead makes nothing old.
func TestClockIsAhead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.script(t, visits)
	w.apply(t, "trade.executed.v1", "T1", "account", april, executed)
	if _, err := w.decide(t.Context(), "trade.cancelled.v1", "C1", "account", april, `{"trade":"none"}`); err != nil {
		t.Fatal(err)
	}
	w.exec(t, `UPDATE millrace.dead_letters SET state = 'dropped'`)
	w.exec(t, `UPDATE millrace.visits SET month = date_trunc('month', now())`)
	told := w.forget(t, maintenance.Config{
		SeenAfter: 35, LettersAfter: 35, DropAfter: map[string]int{"visits": 1}, Now: time.Now().AddDate(0, 3, 0),
	})
	expect(t, "deleted", told, "")
	expect(t, "months dropped", w.text(t, `SELECT count(DISTINCT n)::text FROM millrace.visits`), "6")
}
