package conversation

import (
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/function/functiontest"
	"github.com/millrace/millrace/shared/money"
	"github.com/millrace/millrace/shared/views"
)

// tables stand for the database and for Redis.
type tables struct {
	folds      map[string]*functiontest.Fold
	aggregates map[string]*function.Aggregate
	shown      shows
	versions   map[[2]string]int64
}

// decide decides e, and shows what came of it.
func (s *tables) decide(t *rapid.T, e *event.Event) {
	if s.folds[e.Subject] == nil {
		s.folds[e.Subject] = functiontest.NewFold(New(), e.Subject)
	}
	fold := s.folds[e.Subject]
	fx, _ := fold.Decide(t, e)
	s.show(t, New().RenderViews(fold.Entity))
	for _, d := range fx.Deltas {
		a := s.aggregates[d.Key]
		if a == nil {
			a = &function.Aggregate{TenantID: d.TenantID, Key: d.Key, Fields: map[string]money.Decimal{}}
			s.aggregates[d.Key] = a
		}
		a.Fields[d.Field] = a.Fields[d.Field].Add(d.Amount)
		a.Version++
	}
	for _, a := range s.aggregates {
		s.show(t, New().RenderAggregate(agentCounts, *a))
	}
}

func (s *tables) show(t *rapid.T, rendered []views.View) {
	for _, v := range rendered {
		switch v := v.(type) {
		case views.Hash:
			s.newer(t, v.Key, "", v.Version)
			s.shown[v.Key] = maps.Clone(v.Fields)
		case views.Member:
			s.newer(t, v.Key, v.Member, v.Version)
			if v.Present {
				s.shown.put(v.Key, v.Member, fmt.Sprint(v.Score))
			} else if delete(s.shown[v.Key], v.Member); len(s.shown[v.Key]) == 0 {
				delete(s.shown, v.Key)
			}
		default:
			t.Fatalf("a view of type %T", v)
		}
	}
}

// newer holds versions to what the scripts in Redis go by.
func (s *tables) newer(t *rapid.T, key, member string, version int64) {
	if last := s.versions[[2]string{key, member}]; version < last || version == 0 {
		t.Fatalf("%s %s is shown at version %d after %d", key, member, version, last)
	}
	s.versions[[2]string{key, member}] = version
}

// TestEverythingAgrees: after every event the counts, the queues, the active
// set and the leaderboard are those that counting the conversations gives.
func TestEverythingAgrees(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := &tables{map[string]*functiontest.Fold{}, map[string]*function.Aggregate{}, shows{}, map[[2]string]int64{}}
		events := drawEvents(t, 60)
		for i, e := range events {
			s.decide(t, e)
			compare(t, s.shown, recount(functiontest.Tenant, events[:i+1]))
		}
	})
}

// compare compares texts: maps print sorted.
func compare(t *rapid.T, got, want shows) {
	t.Helper()
	if got, want := fmt.Sprint(got), fmt.Sprint(want); got != want {
		t.Fatalf("shown is\n%s\nwant\n%s", got, want)
	}
}

func conversationEvent(eventType, id, data string) *event.Event {
	return functiontest.Event("conversation."+eventType+".v1", "conv-1", "/calls", id, data)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	fold := functiontest.NewFold(New(), "conv-1")
	for i := range maxQueues {
		fold.Apply(t, conversationEvent("queued", fmt.Sprint("q", i), fmt.Sprintf(`{"queue":"queue-%d"}`, i)))
	}
	fold.Apply(t, conversationEvent("started", "1", `{"channel":"voice"}`))
	refused := func(reason string, events ...*event.Event) {
		t.Helper()
		for _, e := range events {
			before := fold.State(t)
			fx, got := fold.Decide(t, e)
			if got != reason || len(fx.Deltas) != 0 {
				t.Errorf("%s %s was refused with %q, want %q", e.Type, e.Data, got, reason)
			}
			if after := fold.State(t); after != before {
				t.Errorf("a refusal changed the state from %s to %s", before, after)
			}
		}
	}
	refused("conversation-started", conversationEvent("started", "2", `{"channel":"chat"}`))
	refused("too-many-queues",
		conversationEvent("queued", "3", `{"queue":"one more"}`), conversationEvent("transferred", "4", `{"queue":"one more"}`))
	fold.Apply(t, conversationEvent("queued", "5", `{"queue":"queue-0"}`)) // a known one
	fold.Apply(t, conversationEvent("assigned", "6", `{"agent":"agent-1"}`))
	fold.Apply(t, conversationEvent("closed", "7", `{}`))
	refused("conversation-closed",
		conversationEvent("queued", "8", `{"queue":"queue-0"}`), conversationEvent("queued", "9", `{"queue":"one more"}`),
		conversationEvent("assigned", "10", `{"agent":"agent-2"}`), conversationEvent("transferred", "11", `{"agent":"agent-1"}`),
		conversationEvent("transferred", "12", `{"queue":"queue-0"}`), conversationEvent("closed", "13", `{}`))
}
