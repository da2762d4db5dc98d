package trade

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/function/functiontest"
	"github.com/millrace/millrace/shared/views"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

func connect(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), stacktest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return conn
}

// TestPartialLoadsEqualTheWholeFold decides histories in random batches, each
// of which loads only what it needs, and compares with the fold in memory.
func TestPartialLoadsEqualTheWholeFold(t *testing.T) {
	t.Parallel()
	conn := connect(t)
	checks := 0
	rapid.Check(t, func(t *rapid.T) {
		checks++
		subject := fmt.Sprintf("account {%d}'; --", checks)
		store, fold := functiontest.NewStore(New(), conn), functiontest.NewFold(New(), subject)
		events := history(t)
		for _, e := range events {
			e.Subject = subject
		}
		for len(events) > 0 {
			n := rapid.IntRange(1, len(events)).Draw(t, "batch")
			refusals := store.Batch(t.Context(), t, events[:n])
			for i, e := range events[:n] {
				if _, want := fold.Decide(t, e); refusals[i] != want {
					t.Fatalf("%s %s: refused with %q, want %q", e.Type, e.Data, refusals[i], want)
				}
			}
			events = events[n:]
		}
		if got, want := store.State(t.Context(), t, subject), fold.State(t); got != want {
			t.Fatalf("the database has\n%s\nthe fold\n%s", got, want)
		}
	})
}

// TestViewsAreTheLastTrades: what is read afresh for the views is the newest
// trades, by booking, whatever their months.
func TestViewsAreTheLastTrades(t *testing.T) {
	t.Parallel()
	conn := connect(t)
	store := functiontest.NewStore(New(), conn)
	events := make([]*event.Event, 2*shown+10)
	for n := range events {
		events[n] = executed(fmt.Sprint(n), `{"instrument":"A","side":"buy","quantity":"1","price":"1","currency":"USD"}`)
		events[n].Time = events[n].Time.AddDate(0, -n%3, 0)
	}
	store.Batch(t.Context(), t, events)
	entity := New().NewEntity(function.Head{TenantID: functiontest.Tenant, Subject: account})
	b := &pgx.Batch{}
	New().QueueLoadViews(b, []function.Instance{entity})
	if err := conn.SendBatch(t.Context(), b).Close(); err != nil {
		t.Fatal(err)
	}
	list := New().RenderViews(entity)
	if len(list) != 2*shown {
		t.Fatalf("%d views", len(list))
	}
	for _, v := range list {
		r, ok := v.(views.Recent)
		if !ok || r.Key != "millrace:{acme:trades:acct-1}" || r.Score <= 10 || r.Version != int64(r.Score) || !r.Present {
			t.Errorf("view %+v", r)
		}
	}
}
