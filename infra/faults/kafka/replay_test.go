package kafka_test

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/millrace/millrace/infra/stack/stacktest"
)

// The group's offsets are set back to the beginning, and all that is there comes
// again, while traffic goes on. What was decided stays as it was, row by row.
func TestReplayFromTheStart(t *testing.T) {
	w := theWorld(t)
	first := w.trigger(t, w.newGate(t))
	w.send(t, trades(t, 100)...)
	s := w.traffic(t)
	s.more(t, rate)
	stacktest.Eventually(t, patience, "the effects of what is to come again", func(ctx context.Context) bool { return w.decided(ctx, t) == 100 })
	first.stop(t)
	before := w.rows(t)
	again := w.setBack(t)

	g := w.newGate(t)
	w.trigger(t, g)
	s.more(t, rate)
	s.end(t)
	w.holds(t)
	if n := g.passed.Load(); n < again*9/10 { // poison is not posted
		t.Errorf("%d events were posted, there were %d records", n, again)
	}
	if after := w.rows(t); after != before {
		t.Errorf("rows of the test's tenant before: %s, after: %s", before, after)
	}
}

// setBack sets the group to the first offsets, as an operator does once its
// members are gone, and returns how many records come again.
func (w *world) setBack(t *testing.T) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	starts, err := w.admin.ListStartOffsets(ctx, events)
	if err != nil {
		t.Fatal(err)
	}
	again := int64(0)
	offsets := kadm.Offsets{}
	committed := w.mustCommitted(t)
	for partition, start := range starts[events] {
		offsets.AddOffset(events, partition, start.Offset, -1)
		again += committed[partition] - start.Offset
	}
	if err := w.admin.CommitAllOffsets(ctx, group, offsets); err != nil {
		t.Fatal(err)
	}
	return again
}

// rows is a digest of what the trades of the test's own tenant have decided.
func (w *world) rows(t *testing.T) (digest string) {
	t.Helper()
	const sql = `
SELECT md5(string_agg(row, E'\n' ORDER BY row)) FROM (
  SELECT 'audit ' || a::text AS row FROM millrace.audit AS a WHERE function = 'trade' AND tenant_id = $1
  UNION ALL SELECT 'trade ' || a::text FROM millrace.trades AS a WHERE tenant_id = $1
  UNION ALL SELECT 'entity ' || a::text FROM millrace.entities AS a WHERE function = 'trade' AND tenant_id = $1
) AS all_rows`
	if err := w.pool.QueryRow(t.Context(), sql, tenant(t)).Scan(&digest); err != nil {
		t.Fatal(err)
	}
	return digest
}
