package kafka_test

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/infra/stack/stacktest"
)

// Events of a transaction are seen when it is committed, and never if it is
// aborted; while it is open, what lies behind it waits.
func TestAbortedTransactions(t *testing.T) {
	w := theWorld(t)
	w.trigger(t, w.newGate(t))
	all := trades(t, 60)
	w.transact(t, kgo.TryAbort, all[:20])
	w.transact(t, kgo.TryCommit, all[20:40])

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	open := w.begin(ctx, t, all[:20])
	w.send(t, all[40:]...)
	stacktest.Eventually(t, patience, "the committed transaction to be decided", func(ctx context.Context) bool { return w.decided(ctx, t) >= 20 })
	if n := w.decided(ctx, t); n != 20 {
		t.Errorf("%d events were decided, want the 20 of the transaction that was committed", n)
	}
	end(ctx, t, open, kgo.TryAbort)
	w.holds(t)
	if n := w.decided(ctx, t); n != 40 {
		t.Errorf("%d events were decided, want 40", n)
	}
}

// The same events again, at new offsets, in other partitions, with another time:
// they change nothing.
func TestSameEventAtANewOffset(t *testing.T) {
	w := theWorld(t)
	g := w.newGate(t)
	w.trigger(t, g)
	all := trades(t, 50)
	w.send(t, all...)
	w.taken(t)
	for _, e := range all {
		e.Time = e.Time.Add(time.Second)
		r := record(e)
		r.Key = nil // to any partition
		w.sendRaw(t, r)
	}
	w.holds(t)
	if n := g.passed.Load(); n != 100 {
		t.Errorf("%d events were posted, want 50 twice", n)
	}
	if n := w.decided(t.Context(), t); n != 50 {
		t.Errorf("%d events were decided, want 50", n)
	}
	if n := w.count(t.Context(), t, `SELECT count(*) FROM millrace.dead_letters WHERE tenant_id = $1`, tenant(t)); n != 0 {
		t.Errorf("%d dead letters", n)
	}
}

// kcat is what people have at hand.
func TestKcat(t *testing.T) {
	w := theWorld(t)
	w.trigger(t, w.newGate(t))
	program := stacktest.Kcat(t)
	e := executed(tenant(t), "by kcat", "account-1")
	send := exec.CommandContext(t.Context(), program, "-P", "-b", w.cluster.Addresses()[0], "-t", events, "-k", e.Subject,
		"-X", "acks=all", "-H", "ce_specversion=1.0", "-H", "ce_id="+e.ID, "-H", "ce_source="+e.Source, "-H", "ce_type="+e.Type,
		"-H", "ce_tenantid="+e.TenantID, "-H", "ce_subject="+e.Subject, "-H", "ce_time="+e.Time.Format(time.RFC3339Nano),
		"-H", "content-type=application/json")
	send.Stdin = strings.NewReader(string(e.Data))
	if out, err := send.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	w.sent = append(w.sent, identity(e))
	w.holds(t)
	read := exec.CommandContext(t.Context(), program, "-C", "-b", w.cluster.Addresses()[0], "-t", "position-events", "-e", "-q")
	out, err := read.Output()
	if want := fmt.Sprintf("%q", e.TenantID); err != nil || !strings.Contains(string(out), want) {
		t.Errorf("%v: no record of position-events has %s", err, want)
	}
}
