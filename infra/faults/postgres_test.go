package faults

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/millrace/millrace/infra/faults/proxy"
	"github.com/millrace/millrace/infra/stack/stacktest"
)

// TestPostgresRestarts stops PostgreSQL under traffic, by a fast and by an
// immediate shutdown, which breaks off what runs, and kills it.
func TestPostgresRestarts(t *testing.T) {
	t.Parallel()
	heavy(t)
	server := stacktest.PostgresServer(t)
	w := newWorld(t, stores{databaseURL: server.URL}, "trade", "position", "ledger")
	w.startRelay(t)
	for n, stop := range []func() error{server.Stop, server.StopNow, func() error { server.Kill(t); return nil }} {
		w.send(t, some(100, fmt.Sprint("before-", n), executed)...)
		w.decided(t, "trade", 200*n+20)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		w.send(t, some(100, fmt.Sprint("while-", n), executed)...)
		server.Start(t)
		w.decided(t, "trade", 200*n+120)
	}
	w.holds(t)
}

// failOver kills the primary, promotes the standby and sends everybody there.
func (w *world) failOver(t *testing.T, primary, standby *stacktest.Server) {
	t.Helper()
	primary.Kill(t)
	standby.Exec(t, "SELECT pg_promote()")
	w.move(t, standby)
}

// move sends everybody to another server.
func (w *world) move(t *testing.T, to *stacktest.Server) {
	t.Helper()
	target := fmt.Sprint("127.0.0.1:", to.Port())
	w.postgres.Redirect(target)
	w.relay.postgres.Redirect(target)
	w.deps.Pool = openPool(t, to.URL)
}

// TestPostgresFailsOver loses the primary under traffic, with its disk. A
// synchronous standby has all that was acknowledged; nothing has to be done but
// to promote it.
func TestPostgresFailsOver(t *testing.T) {
	t.Parallel()
	primary := stacktest.PostgresServer(t)
	standby := stacktest.StandbyOf(t, primary, primary.URL, "standby")
	primary.Synchronous(t, "standby")
	w := newWorld(t, stores{databaseURL: primary.URL}, "trade", "position", "ledger")
	w.startRelay(t)
	w.send(t, some(150, "before", executed)...)
	w.decided(t, "trade", 30)
	w.failOver(t, primary, standby)
	w.send(t, some(50, "after", executed)...)
	w.holds(t)
	if n := w.count(t, `SELECT timeline_id FROM millrace.database_epoch`); n != 2 {
		t.Errorf("the epoch is of timeline %d", n)
	}
}

// TestRepeatWaitsForTheStandby: the standby is out of reach, so the commit of an
// event does not end, and its request ends at its deadline. PostgreSQL shows the
// event as decided from then on, though only the primary has it. It comes again,
// and must not be acknowledged: the primary is lost, and the event with it.
func TestRepeatWaitsForTheStandby(t *testing.T) {
	t.Parallel()
	heavy(t)
	primary := stacktest.PostgresServer(t)
	feed := newProxy(t, primary.URL, proxy.Raw)
	standby := stacktest.StandbyOf(t, primary, through(primary.URL, feed), "standby")
	primary.Synchronous(t, "standby")
	w := newWorld(t, stores{databaseURL: primary.URL}, "ledger")
	w.send(t, posted("first", "journal"))
	w.settle(t) // else it would come again, and nothing after it

	feed.SetDown(true)
	w.functions["ledger"].process.kill(t)
	w.start(t, "ledger", "REQUEST_TIMEOUT=3s") // in which a slow machine too comes as far as the commit
	asked := make(chan struct{}, 1000)
	w.functions["ledger"].door.On("POST", proxy.Request, func(int) proxy.Verdict {
		asked <- struct{}{}
		return proxy.Pass
	})
	answered := w.functions["ledger"].door.At(" 202 ", proxy.Reply)
	w.send(t, posted("second", "journal"))
	w.decided(t, "ledger", 2) // and yet it is not safe
	for range 3 {
		select {
		case <-asked:
		case <-answered.Reached:
			t.Fatal("it was acknowledged before the standby had it")
		case <-t.Context().Done():
		}
	}
	answered.Pass()
	w.failOver(t, primary, standby)
	w.startRelay(t)
	w.holds(t)
}

// replicated waits until the standby has all there is.
func (w *world) replicated(t *testing.T) {
	t.Helper()
	stacktest.Eventually(t, time.Minute, "the standby to have it", func(context.Context) bool {
		return w.count(t, `SELECT count(*) FROM pg_stat_replication WHERE replay_lsn = pg_current_wal_lsn()`) == 1
	})
}

// TestPostgresFailsOverAndLosesItsTail fails over to an asynchronous standby that
// lacks the last transactions. What they decided was acknowledged and is gone;
// Redis shows it, and other decisions take its versions. The offsets are set back,
// as docs/guarantees.md asks for; then all is there again.
func TestPostgresFailsOverAndLosesItsTail(t *testing.T) {
	t.Parallel()
	primary := stacktest.PostgresServer(t)
	feed := newProxy(t, primary.URL, proxy.Raw)
	standby := stacktest.StandbyOf(t, primary, through(primary.URL, feed), "standby")
	w := newWorld(t, stores{databaseURL: primary.URL}, "ledger")
	w.startRelay(t)
	w.send(t, some(20, "kept", posted)...)
	w.holds(t)
	w.replicated(t)
	feed.SetDown(true)
	lost := some(20, "lost", posted)
	for n, e := range lost[:10] {
		e.Subject = fmt.Sprint("lost-", n) // entities that the standby does not know at all
	}
	w.send(t, lost...)
	w.holds(t)

	w.functions["ledger"].stopTrigger()
	w.failOver(t, primary, standby)
	if n := w.count(t, `SELECT count(*) FROM millrace.seen`); n != 20 {
		t.Fatalf("the standby has %d events: the test tests nothing", n)
	}
	w.send(t, some(10, "other", posted)...)
	w.setBackOffsets(t)
	w.startTrigger(t, "ledger")
	w.holds(t)
}

// TestPostgresFailsOverAndLosesWhatItEmitted fails over as above, and what the lost
// trades emitted is in Kafka. Other trades of the same accounts are decided first,
// which emit under the numbers of the lost ones; then these come again. Each is
// booked once, and what the lost decisions emitted is dead letters.
func TestPostgresFailsOverAndLosesWhatItEmitted(t *testing.T) {
	t.Parallel()
	primary := stacktest.PostgresServer(t)
	feed := newProxy(t, primary.URL, proxy.Raw)
	standby := stacktest.StandbyOf(t, primary, through(primary.URL, feed), "standby")
	names := []string{"trade", "position", "ledger"}
	w := newWorld(t, stores{databaseURL: primary.URL}, names...)
	w.startRelay(t)
	w.send(t, some(20, "kept", executed)...)
	w.holds(t)
	w.replicated(t)
	feed.SetDown(true)
	w.send(t, some(20, "lost", executed)...)
	w.holds(t)

	for _, name := range names {
		w.functions[name].stopTrigger()
	}
	w.failOver(t, primary, standby)
	if n := w.count(t, `SELECT count(*) FROM millrace.audit`); n != 60 {
		t.Fatalf("the standby has %d decisions: the test tests nothing", n)
	}
	other := some(15, "other", executed)
	for _, e := range other {
		e.Data = bytes.Replace(e.Data, []byte("12.50"), []byte("13.75"), 1)
	}
	w.send(t, other...)
	w.startTrigger(t, "trade")
	w.decided(t, "trade", 35)
	w.functions["trade"].stopTrigger()
	w.setBackOffsets(t)
	for _, name := range names {
		w.startTrigger(t, name)
	}
	w.holds(t)
	for sql, want := range map[string]int{
		`SELECT count(*) FROM millrace.trades`:                                     55,
		`SELECT count(*) FROM millrace.fills`:                                      55,
		`SELECT count(*) FROM millrace.entries`:                                    55,
		`SELECT count(*) FROM millrace.dead_letters WHERE reason = 'not-emitted'`:  40,
		`SELECT count(*) FROM millrace.dead_letters WHERE reason <> 'not-emitted'`: 0,
		`SELECT count(*) FROM millrace.parked`:                                     0,
	} {
		if n := w.count(t, sql); n != want {
			t.Errorf("%s: %d, want %d", sql, n, want)
		}
	}
}
