package maintenance_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/millrace/millrace/infra/maintenance"
	"github.com/millrace/millrace/shared/postgres"
)

const (
	tradesInDefault = `SELECT count(*)::text FROM millrace.trades_default`
	tradesWhole     = `SELECT count(*) || ' of ' || count(DISTINCT (tenant_id, account, source, id)) FROM millrace.trades`
)

// Rows of each table come before their months are made, and are moved there.
func TestDefaultPartitionIsEmptied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	march := april.AddDate(0, -1, 0)
	w.apply(t, "trade.executed.v1", "T1", "account", march, executed)
	w.apply(t, "trade.executed.v1", "T2", "account", april, executed)
	w.apply(t, "message.sent.v1", "M1", "talk", march, said)
	w.apply(t, "ledger.posted.v1", "L1", "journal", march, posted)
	dry := w.maintain(t, maintenance.Config{DryRun: true})
	has(t, dry, "trades: moved 2 rows of 2024-03, 2024-04")
	expect(t, "a dry run", w.partitions(t, "trades"), "default")
	done := w.maintain(t, maintenance.Config{})
	expect(t, "what a dry run tells", strings.Join(done, "\n"), strings.Join(dry, "\n"))
	for _, table := range []string{"audit", "trades", "messages", "entries", "postings", "fills"} {
		expect(t, table, w.partitions(t, table), "2024_03 2024_04 2024_05 default")
		expect(t, table, w.text(t, `SELECT count(*)::text FROM millrace.`+table+`_default`), "0")
	}
	expect(t, "again", strings.Join(w.maintain(t, maintenance.Config{}), "\n"), "")
	w.same(t)

	// Each is found where it is now, and the tables hold to their rules.
	w.apply(t, "trade.amended.v1", "A1", "account", april, `{"trade":"T1","quantity":"11","price":"4"}`)
	w.apply(t, "message.edited.v1", "E1", "talk", april, `{"message":"M1","text":"goodbye"}`)
	w.apply(t, "ledger.reversed.v1", "R1", "journal", april, `{"entry":"L1"}`)
	w.same(t)
	for _, refused := range []string{
		`DELETE FROM millrace.postings_2024_03`,
		`INSERT INTO millrace.postings SELECT month, tenant_id, journal, version, 3, account, currency, amount FROM millrace.postings`,
		`INSERT INTO millrace.trades SELECT * FROM millrace.trades`,
	} {
		if _, err := w.pool.Exec(t.Context(), refused); !postgres.Refused(err) {
			t.Errorf("%s: %v", refused, err)
		}
	}
}

// Several run at once, while trades are executed and amended.
func TestDefaultPartitionIsEmptiedUnderLoad(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stop := w.work(t)
	w.await(t, `SELECT count(*) > 100 FROM millrace.trades`)
	for range 2 {
		var running sync.WaitGroup
		for range 3 {
			running.Go(func() { w.maintain(t, maintenance.Config{Pages: 1}) })
		}
		running.Wait()
	}
	n := stop()
	w.maintain(t, maintenance.Config{})
	expect(t, "months", w.partitions(t, "trades"), "2024_03 2024_04 2024_05 default")
	expect(t, "rows left", w.text(t, tradesInDefault), "0")
	expect(t, "trades", w.text(t, tradesWhole), fmt.Sprintf("%d of %d", n, n))
	w.same(t)
}

// Rows of another month that come while rows are copied stay for the next run.
// What is changed meanwhile is changed in the copy too.
func TestChangesWhileRowsAreCopied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply(t, "trade.executed.v1", "T1", "account", april, executed)
	w.apply(t, "trade.executed.v1", "T2", "account", april, executed)
	release := w.hold(t, `SELECT FROM millrace.trades WHERE id = 'T2' FOR UPDATE`)
	done := make(chan []string)
	go func() { done <- w.maintain(t, maintenance.Config{Pages: 1}) }()
	w.await(t, `SELECT to_regclass('millrace.trades_refill') IS NOT NULL`)
	w.apply(t, "trade.amended.v1", "A1", "account", april, `{"trade":"T1","quantity":"11","price":"4"}`)
	w.apply(t, "trade.executed.v1", "T3", "account", april.AddDate(-1, 0, 0), executed)
	expect(t, "rows repeated", w.text(t, `SELECT count(*)::text FROM millrace.trades_refill`), "2")
	release()
	has(t, <-done, "trades: moved 2 rows of 2024-04")
	expect(t, "rows left", w.text(t, tradesInDefault), "1")
	has(t, w.maintain(t, maintenance.Config{}), "trades: moved 1 rows of 2023-04")
	w.same(t)
}

// killed ends a run that waits for a lock.
const killed = `SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'millrace maintain' AND wait_event_type = 'Lock'`

// The run is killed while it copies, and while it waits to put the copies in
// their place.
func TestKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	const (
		copying  = `SELECT FROM millrace.trades WHERE id = 'last' FOR UPDATE`
		swapping = `LOCK TABLE ONLY millrace.trades IN ACCESS SHARE MODE`
		stuck    = `SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'millrace maintain' AND wait_event_type = 'Lock'`
	)
	for _, c := range []struct {
		name, hold string
		terminated bool
	}{
		{"copying, terminated", copying, true},
		{"copying, cancelled", copying, false},
		{"swapping, terminated", swapping, true},
		{"swapping, cancelled", swapping, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			stop := w.work(t)
			w.await(t, `SELECT count(*) > 50 FROM millrace.trades`)
			w.apply(t, "trade.executed.v1", "last", "account", april, executed)
			w.await(t, `SELECT count(*) > 50 FROM millrace.trades`)
			release := w.hold(t, c.hold)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			failed := make(chan error)
			go func() { _, err := w.try(ctx, maintenance.Config{Pages: 1}); failed <- err }()
			w.await(t, `SELECT to_regclass('millrace.trades_refill') IS NOT NULL`)
			if c.terminated {
				w.await(t, killed)
			} else {
				w.await(t, stuck)
				cancel()
			}
			if err := <-failed; err == nil || !c.terminated && !errors.Is(err, context.Canceled) {
				t.Errorf("killed: %v", err)
			}
			release()
			w.maintain(t, maintenance.Config{Pages: 1})
			n := stop() + 1
			w.maintain(t, maintenance.Config{})
			expect(t, "rows left", w.text(t, tradesInDefault), "0")
			expect(t, "trades", w.text(t, tradesWhole), fmt.Sprintf("%d of %d", n, n))
			expect(t, "leavings", w.text(t, `SELECT count(*)::text FROM pg_class WHERE relname ~ 'refill(_default)?(_\d)?$'`), "0")
			w.same(t)
		})
	}
}
