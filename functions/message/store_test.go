package message

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/function/functiontest"
	"github.com/millrace/millrace/shared/views"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

func TestPartialLoadsEqualTheWholeFold(t *testing.T) {
	t.Parallel()
	functiontest.PartialLoads(t, New(), stacktest.Postgres(t), history)
}

// TestViewsAreTheLastMessages: what is read afresh for the views is the newest
// messages, by sending, whatever their months.
func TestViewsAreTheLastMessages(t *testing.T) {
	t.Parallel()
	conn := functiontest.Connect(t, stacktest.Postgres(t))
	store := functiontest.NewStore(New(), conn)
	events := make([]*event.Event, 2*shown+10)
	for n := range events {
		events[n] = sent(fmt.Sprint(n), `{"author":"ann","text":"hello"}`)
		events[n].Time = events[n].Time.AddDate(0, -n%3, 0)
	}
	store.Batch(t.Context(), t, events)
	entity := New().NewEntity(function.Head{TenantID: functiontest.Tenant, Subject: conversation, Version: 1})
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
		if !ok || r.Key != "millrace:{acme:messages:conv-1}" || r.Score <= 10 || r.Version != int64(r.Score) || !r.Present || !r.Publish {
			t.Errorf("view %+v", r)
		}
	}
}
