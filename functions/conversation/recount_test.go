package conversation

import (
	"encoding/json"
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function/functiontest"
	"github.com/millrace/millrace/shared/views"
)

// drawEvents draws events of several conversations, which share agents and
// queues, in any order: of one conversation too.
func drawEvents(t *rapid.T, most int) []*event.Event {
	subject := rapid.SampledFrom([]string{"conv-1", "conv-2", "conv-3", "conv {4}"})
	events := make([]*event.Event, rapid.IntRange(1, most).Draw(t, "events"))
	for i := range events {
		events[i] = drawEvent(t, subject.Draw(t, "conversation"), fmt.Sprint(i))
	}
	return events
}

func drawEvent(t *rapid.T, subject, id string) *event.Event {
	agent := rapid.SampledFrom([]string{"agent-1", "agent-2", "{agent}:3"})
	queue := rapid.SampledFrom([]string{"billing", "sales", "a, 'b' {c}"})
	eventType, data := "", ""
	switch rapid.IntRange(0, 7).Draw(t, "kind") {
	case 0:
		eventType, data = "started", `{"channel":"chat"}`
	case 1:
		eventType, data = "queued", fmt.Sprintf(`{"queue":%q}`, queue.Draw(t, "queue"))
	case 2:
		eventType, data = "queued", fmt.Sprintf(`{"queue":%q,"priority":%d}`, queue.Draw(t, "queue"), rapid.IntRange(0, 9).Draw(t, "priority"))
	case 3:
		eventType, data = "assigned", fmt.Sprintf(`{"agent":%q}`, agent.Draw(t, "agent"))
	case 4, 5:
		eventType, data = "transferred", fmt.Sprintf(`{"agent":%q}`, agent.Draw(t, "agent"))
	case 6:
		eventType, data = "transferred", fmt.Sprintf(`{"queue":%q}`, queue.Draw(t, "queue"))
	case 7:
		eventType, data = "closed", `{}`
	}
	e := functiontest.Event("conversation."+eventType+".v1", subject, "/calls", id, data)
	e.Time = e.Time.AddDate(0, 0, rapid.IntRange(-3, 3).Draw(t, "day"))
	return e
}

// shows is what keys show: scores by member, or values by field.
type shows map[string]map[string]string

func (s shows) put(key, member, value string) {
	if s[key] == nil {
		s[key] = map[string]string{}
	}
	s[key][member] = value
}

// payload has the members of all payloads.
type payload struct {
	Agent    string `json:"agent"`
	Queue    string `json:"queue"`
	Priority *int   `json:"priority"`
}

// recount says what is to be seen of a tenant after events, counted without the
// function: each conversation from its own events, and each agent from all
// conversations.
func recount(tenant string, events []*event.Event) shows {
	want := shows{}
	open, closed := map[string]int{}, map[string]int{}
	byConversation := map[string][]*event.Event{}
	for _, e := range events {
		byConversation[e.Subject] = append(byConversation[e.Subject], e)
	}
	for subject, events := range byConversation {
		end := slices.IndexFunc(events, func(e *event.Event) bool { return e.Type == "conversation.closed.v1" })
		counts := open
		if end >= 0 {
			counts = closed
		} else {
			end = len(events)
			want.put(views.Key(tenant, "active-conversations"), subject, fmt.Sprint(float64(events[0].Time.Unix())))
		}
		at := placeOf(events[:end])
		if at.agent != "" {
			open[at.agent] += 0 // it was counted, so its counts are shown
			counts[at.agent]++
		}
		if at.queue != "" && end == len(events) {
			want.put(views.Key(tenant, "waiting", at.queue), subject, fmt.Sprint(float64((9-at.priority)*1e13+at.since)))
		}
		for _, e := range events[:end] {
			if agent := read(e).Agent; agent != "" {
				open[agent] += 0
			}
		}
	}
	for agent := range open {
		want.put(views.Key(tenant, "agent-counts", agent), "open", fmt.Sprint(open[agent]))
		want.put(views.Key(tenant, "agent-counts", agent), "closed", fmt.Sprint(closed[agent]))
		if closed[agent] > 0 {
			want.put(views.Key(tenant, "leaderboard"), agent, fmt.Sprint(float64(closed[agent])))
		}
	}
	return want
}

// place is where a conversation is: with an agent, or in a queue since a time
// in ms.
type place struct {
	agent, queue    string
	priority, since int
}

// placeOf reads a conversation's place off its events, none of which closes it:
// the last that says one counts.
func placeOf(events []*event.Event) (at place) {
	for _, e := range events {
		p := read(e)
		if p.Priority != nil {
			at.priority = *p.Priority
		}
		if p.Agent == "" && p.Queue == "" {
			continue
		}
		if p.Queue != at.queue {
			at.since = int(e.Time.UnixMilli())
		}
		at.agent, at.queue = p.Agent, p.Queue
	}
	return at
}

func read(e *event.Event) (p payload) {
	if err := json.Unmarshal(e.Data, &p); err != nil {
		panic(err) // it was drawn
	}
	return p
}
