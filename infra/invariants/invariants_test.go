package invariants

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestWhatRanHolds(t *testing.T) {
	t.Parallel()
	w := run(t, traffic()...)
	pool := w.open(t, w.databaseURL)
	defer pool.Close()
	report, err := Check(t.Context(), w.with(pool))
	if err != nil {
		t.Fatal(err)
	}
	// Of the traffic 33 records, and 15 that trade emits: for four executions, an
	// amendment and a cancellation.
	const want = "I1 to I8 hold (48 records, 0 waiting, 0 sent; 18 entities, 38 events, 15 emitted; 37 views)\n"
	if got := report.String(); got != want {
		t.Errorf("got %swant %s", got, want)
	}
}

// TestWorkInProgressIsNoFault checks a world in which events are on their way
// at each place: not taken, emitted and not published, published and not
// taken. At work that is no fault; what is nowhere is one then too.
func TestWorkInProgressIsNoFault(t *testing.T) {
	t.Parallel()
	w := run(t, traffic()...)
	const forget = `
CREATE TEMP TABLE forgotten AS SELECT a.* FROM millrace.audit AS a WHERE function = 'position' AND subject = 'acct-1' AND sequence > 2;
DELETE FROM millrace.seen AS s USING forgotten AS f WHERE s.source = f.source AND s.id = f.id;
INSERT INTO millrace.outbox (function, created_at, emitted)
SELECT 'trade', now(), json_agg(` + emittedJSON + `) FROM forgotten WHERE sequence = 3 AND tenant_id = 'acme'`
	pool := w.open(t, w.copy(t, forget))
	t.Cleanup(pool.Close)
	deps := w.with(pool)
	deps.Live = true
	w.send(t, record(8, `trade.executed.v1 N1 {}`),
		record(8, `position.fill-cancelled.v1 position/acct-1/4 source=/millrace/trade/acct-1 sequence=4 {"fill":"position/acct-1/1"}`))

	report, err := Check(t.Context(), deps)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, b := range report.Broken {
		found = append(found, fmt.Sprintf("%s %s", b.Invariant, b))
	}
	// What a test forgot of decisions it also finds by I2 and I6; of what was
	// emitted, 3 is in the outbox and 4 in Kafka.
	for _, f := range found {
		if strings.HasPrefix(f, "I1") || strings.HasPrefix(f, "I5") || strings.HasPrefix(f, "I7") {
			t.Errorf("it is on its way: %s", f)
		}
	}
	if report.Checked.Waiting != 2 {
		t.Errorf("%d records are waiting", report.Checked.Waiting)
	}

	execute(t, pool.Config().ConnString(), `DELETE FROM millrace.outbox`)
	report, err = Check(t.Context(), deps)
	if err != nil {
		t.Fatal(err)
	}
	lost := breakage{invariant: "I7", what: "emitted events that have not arrived", row: "id position/acct-1/3"}
	if !finds(report, lost) {
		t.Errorf("a lost event was not found: %s", report.String())
	}
}

func TestSettleSaysWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	w := run(t)
	pool := w.open(t, w.databaseURL)
	defer pool.Close()
	w.send(t, record(7, `trade.executed.v1 N1 {}`))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := Settle(ctx, w.with(pool))
	if err == nil || !strings.Contains(err.Error(), "trade-events/7 is taken to 0 of 1") {
		t.Errorf("error %v", err)
	}
}

// TestAbortedTransactionsAreNoLag: no consumer gets past the end of a
// partition whose last records were aborted.
func TestAbortedTransactionsAreNoLag(t *testing.T) {
	t.Parallel()
	w := run(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(w.deps.Brokers...), kgo.TransactionalID("t"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := client.ProduceSync(t.Context(), record(6, `trade.executed.v1 N1 {}`)).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := client.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	pool := w.open(t, w.databaseURL)
	defer pool.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := Settle(ctx, w.with(pool)); err != nil {
		t.Fatal(err)
	}
	report, err := Check(t.Context(), w.with(pool))
	if err != nil || !report.Holds() {
		t.Errorf("%s, error %v", report.String(), err)
	}
}

// TestWhatOperatorsDoIsNoFault: a refused event is decided once more, and the
// sequence that a parked one waits for is skipped.
func TestWhatOperatorsDoIsNoFault(t *testing.T) {
	t.Parallel()
	w := run(t, traffic()...)
	const redriven = `
INSERT INTO millrace.audit
SELECT month, tenant_id, function, subject, 6, outcome, reason, source, id, type, time, sequence, digest, data,
       '{"millracedeadletter":"x"}', decided_at
FROM millrace.audit WHERE id = 'T5';
UPDATE millrace.seen SET version = 6 WHERE id = 'T5';
UPDATE millrace.entities SET version = 6 WHERE function = 'trade' AND ` + acct1
	const skipped = `
UPDATE millrace.streams SET position = 6, parked = 0 WHERE parked = 1 AND function = 'trade';
DELETE FROM millrace.parked WHERE function = 'trade'`
	const asked = `
INSERT INTO millrace.operations (who, what, why, function, tenant_id, subject, source, dead_letter, event_id, from_sequence, to_sequence)
VALUES ('ann', 'redrive', '', 'trade', 'acme', 'acct-1', '/desk', gen_random_uuid(), 'T5', NULL, NULL),
       ('ann', 'skip', 'lost', 'trade', 'acme', 'acct-1', '/desk', NULL, NULL, 6, 6);`
	for name, test := range map[string]struct {
		sql  string
		well bool
	}{"asked for": {asked + redriven + ";" + skipped, true}, "not asked for": {redriven + ";" + skipped, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			deps := w.with(w.open(t, w.copy(t, test.sql)))
			t.Cleanup(deps.Pool.Close)
			report, err := Check(t.Context(), deps)
			if err != nil {
				t.Fatal(err)
			}
			found := map[string]bool{}
			for _, b := range report.Broken {
				found[b.Invariant] = true
			}
			if (found["I2"] || found["I3"]) == test.well || found["I7"] {
				t.Error(report.String())
			}
		})
	}
}
