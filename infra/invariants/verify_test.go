package invariants

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// TestVerifyNamesWhatWasTamperedWith damages a row of a table, a key of Redis and
// the audit log: each is named, and nothing else.
func TestVerifyNamesWhatWasTamperedWith(t *testing.T) {
	t.Parallel()
	w := run(t, traffic()...)
	for _, tampered := range []struct{ name, sql, want string }{
		{"nothing", ``, ``},
		{"a row", `UPDATE millrace.fills SET quantity = 3 WHERE source = '/desk' AND id = 'F1'`,
			`entities whose tables are not what the fold gives: 1
     millrace.fills acme/acct-1 MSFT 1 quantity: is "3", should be "2"`},
		{"a row less", `DELETE FROM millrace.messages`,
			`facts in millrace.messages that are not one for each applied event: 1
     tenant_id=acme subject=conv-1 source=/chat id=M1 facts=<nil> decided=1 version=<nil>
entities whose tables are not what the fold gives: 1
     millrace.messages acme/conv-1 /chat M1: is nothing, should be {"author":"ann","number":1,"state":"redacted","time":"2026-03-14T09:26:53Z","version":2}`},
		{"an aggregate", `UPDATE millrace.aggregates SET value = value + 7 WHERE (tableoid, ctid) = (
    SELECT tableoid, ctid FROM millrace.aggregates WHERE name = 'agent' AND key = 'agent-1' AND field = 'open' LIMIT 1)`,
			`agents' counts that are not those of their conversations: 1
     tenant_id=acme agent=agent-1 open=8 conversations=1 closed=1 closed_conversations=1
sums that are not what the fold gives: 1
     millrace.aggregates conversation agent acme/agent-1 open: is 8, should be 1`},
		{"the audit log", `DELETE FROM millrace.audit WHERE function = 'message' AND version = 2`,
			`audit rows that are missing: 1
     millrace.audit message acme/conv-1 version 2: is no row, should be one for each version of the entity`},
	} {
		t.Run(tampered.name, func(t *testing.T) {
			t.Parallel()
			deps := w.deps
			deps.Redis = nil // it is tampered with beside
			deps.Pool = w.open(t, w.copy(t, tampered.sql))
			t.Cleanup(deps.Pool.Close)
			expectBroken(t, deps, tampered.want)
		})
	}
	t.Run("Redis", func(t *testing.T) {
		t.Parallel()
		ctx, deps := t.Context(), w.with(w.open(t, w.databaseURL))
		t.Cleanup(deps.Pool.Close)
		expectBroken(t, deps, ``)
		const position, trades = "millrace:{acme:position:acct-2:AAPL}", "millrace:{acme:trades:acct-3}"
		for _, err := range []error{
			deps.Redis.HSet(ctx, position, "quantity", "11").Err(),
			deps.Redis.Set(ctx, trades, "a text", 0).Err(),
			deps.Redis.ZAdd(ctx, "millrace:{acme:leaderboard}", redis.Z{Score: 9, Member: "nobody"}).Err(),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		report := expectBroken(t, deps, ``, position, trades, `millrace:{acme:leaderboard} "nobody"`)
		if n := report.Differences(); n != 3 {
			t.Errorf("%d differences: %s", n, report.String())
		}
		deps.Scope = Scope{Tenant: "zeta"}
		expectBroken(t, deps, ``)
		deps.Scope = Scope{Function: "position", Since: time.Now().Add(-time.Hour)}
		expectBroken(t, deps, ``, position)
	})
}

// expectBroken verifies, and compares all that is found with a text, or looks for
// rows in it.
func expectBroken(t *testing.T, deps Deps, want string, rows ...string) Report {
	t.Helper()
	report, err := Verify(t.Context(), deps)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, b := range report.Broken {
		got.WriteString(b.String())
	}
	if len(rows) == 0 && strings.TrimSpace(got.String()) != want {
		t.Errorf("got:\n%swant:\n%s", got.String(), want)
	}
	for _, row := range rows {
		if !strings.Contains(got.String(), row+": is ") {
			t.Errorf("%s is not in:\n%s", row, got.String())
		}
	}
	if report.Checked.Entities == 0 {
		t.Error("nothing was looked at")
	}
	return report
}

// TestVerifyUnderTraffic verifies again and again while events are decided: what
// happens meanwhile is no difference.
func TestVerifyUnderTraffic(t *testing.T) {
	t.Parallel()
	w := begin(t)
	pool := w.open(t, w.databaseURL)
	defer pool.Close()
	deps := w.with(pool)
	deps.Patience = time.Minute
	sending, stop := context.WithCancel(t.Context())
	var sender sync.WaitGroup
	sender.Go(func() { w.keepSending(sending, t) })
	var progress Progress
	deps.Progress = func(p Progress) { progress = p }
	// Three times, each with decisions since the last.
	for before, grown := 0, 0; grown < 3; {
		report, err := Verify(t.Context(), deps)
		if err != nil {
			t.Fatal(err)
		}
		if !report.Holds() {
			t.Fatal(report.String())
		}
		if report.Checked.Events > before+50 {
			before = report.Checked.Events
			grown++
		}
	}
	stop()
	sender.Wait()
	w.settle(t, pool)
	report := expectBroken(t, deps, ``)
	if n := report.Checked.Busy + report.Checked.Moved; n > 0 {
		t.Errorf("%d are busy at rest", n)
	}
	if progress.Done != progress.Total || progress.Total == 0 {
		t.Errorf("the progress ends at %+v", progress)
	}
	w.end(t)
}

// keepSending sends what touches every kind of view, old entities and new ones.
func (w *world) keepSending(ctx context.Context, t *testing.T) {
	t.Helper()
	for n := 0; ctx.Err() == nil; n++ {
		agent, account, conversation := n%3, n%7, n/5
		w.send(t,
			record(0, fmt.Sprintf(`trade.executed.v1 T%d source=/live subject=live-%d {"instrument":"AAPL","side":"buy","quantity":"1","price":"2","currency":"EUR"}`, n, account)),
			record(0, fmt.Sprintf(`trade.cancelled.v1 C%d source=/live subject=live-%d {"trade":"T%d"}`, n, account, n)),
			record(1, fmt.Sprintf(`agent.signed-in.v1 I%d source=/live subject=live-%d {}`, n, n%50)),
			record(1, fmt.Sprintf(`agent.signed-out.v1 O%d source=/live subject=live-%d {}`, n, (n+25)%50)),
			record(2, fmt.Sprintf(`conversation.queued.v1 Q%d source=/live subject=live-%d {"queue":"q-%d"}`, n, conversation, n%4)),
			record(2, fmt.Sprintf(`conversation.assigned.v1 A%d source=/live subject=live-%d {"agent":"live-%d"}`, n, conversation, agent)),
			record(3, fmt.Sprintf(`message.sent.v1 M%d source=/live subject=live-%d {"author":"ann","text":"hello"}`, n, conversation)),
			record(3, fmt.Sprintf(`message.redacted.v1 R%d source=/live subject=live-%d {"message":"M%d"}`, n, conversation, n)),
		)
	}
}
