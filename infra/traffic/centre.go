package traffic

import (
	"fmt"
	"slices"
)

// agent works in the contact centre.
type agent struct {
	entity

	signedIn bool
	status   string
	skills   []string
}

const phoneSystem = "/acd" // automatic call distribution

var (
	statuses = []string{"available", "busy", "wrap-up", "break", "offline-work"}
	skills   = []string{"billing", "cards", "claims", "english", "fraud", "french", "german", "loans", "sales", "trading"}
	flags    = []string{"beta-desktop", "assist", "dark-mode"}
	people   = []string{"Ada", "Blaise", "Chen", "Dara", "Emmy", "Farid", "Grace", "Hedy", "Ines", "José", "Kenji", "Lise"}
)

func (s *story) newAgent(t *tenant) *agent { return &agent{entity: s.newEntity(t, "agent")} }

func (s *story) pickAgent(t *tenant) *agent {
	n := s.entity.pick(s.r)
	if t.agents[n] == nil || t.agents[n].over {
		t.agents[n] = s.newAgent(t)
	}
	return t.agents[n]
}

func (s *story) tellAgent(a *agent) *intent {
	switch n := s.r.IntN(100); {
	case !a.signedIn:
		a.signedIn, a.status, a.skills = true, "", s.someSkills()
		data := map[string]any{"name": pick(s.r, people), "skills": a.skills}
		if s.odds(30) {
			data["features"] = map[string]bool{pick(s.r, flags): s.odds(50)}
		}
		return s.say(&a.entity, phoneSystem, "agent.signed-in.v1", data)
	case n < 5:
		a.signedIn = false
		return s.say(&a.entity, phoneSystem, "agent.signed-out.v1", map[string]any{"reason": "end of shift"})
	case n < 10:
		before := a.skills
		for a.skills = s.someSkills(); slices.Equal(a.skills, before); a.skills = s.someSkills() {
		}
		return s.say(&a.entity, phoneSystem, "agent.skills-changed.v1", map[string]any{"skills": a.skills})
	}
	a.status = pick(s.r, slices.DeleteFunc(slices.Clone(statuses), func(other string) bool { return other == a.status }))
	return s.say(&a.entity, phoneSystem, "agent.status-changed.v1", map[string]any{"status": a.status})
}

// someSkills are one to four different ones, sorted.
func (s *story) someSkills() []string {
	some := map[string]bool{}
	for range 1 + s.r.IntN(4) {
		some[pick(s.r, skills)] = true
	}
	return slices.DeleteFunc(slices.Clone(skills), func(skill string) bool { return !some[skill] })
}

// conversation is one that is open.
type conversation struct {
	entity

	phase    phase
	customer string
	agent    string
	talk     []string // ids of the last messages that stand
	messages int
}

// phase is how far a conversation has come.
type phase int

const (
	begins phase = iota
	started
	waits
	assigned
	closed
)

var (
	channels = []string{"voice", "chat", "chat", "email", "sms", "social"}
	queues   = []string{"billing", "cards", "general", "sales", "trading"}
)

func (s *story) newConversation(t *tenant) *conversation {
	return &conversation{entity: s.newEntity(t, "conversation"), customer: fmt.Sprintf("customer-%d", s.r.IntN(100_000))}
}

// longTalk ends a conversation that nobody closes: where the mix has only messages.
const longTalk = 40

func (s *story) conversationAt(t *tenant, n int) *conversation {
	c := t.conversations[n]
	if c == nil || c.over || c.phase == closed || c.messages >= longTalk && s.settings.Mix["conversation"] == 0 {
		c = s.newConversation(t)
		t.conversations[n] = c
	}
	return c
}

func (s *story) pickConversation(t *tenant) *conversation {
	return s.conversationAt(t, s.entity.pick(s.r))
}

func (s *story) tellConversation(t *tenant, c *conversation) *intent {
	say := func(eventType string, data map[string]any) *intent {
		return s.say(&c.entity, phoneSystem, eventType, data)
	}
	queue := func() map[string]any {
		c.phase, c.agent = waits, ""
		return map[string]any{"queue": pick(s.r, queues)}
	}
	assign := func() map[string]any {
		c.phase, c.agent = assigned, s.someAgent(t)
		return map[string]any{"agent": c.agent}
	}
	switch {
	case c.phase == begins:
		c.phase = started
		return say("conversation.started.v1", map[string]any{"channel": pick(s.r, channels), "customer": c.customer})
	case c.phase == started && s.odds(80):
		data := queue()
		data["priority"] = s.r.IntN(10)
		return say("conversation.queued.v1", data)
	case c.phase < assigned:
		return say("conversation.assigned.v1", assign())
	case s.odds(15):
		return say("conversation.transferred.v1", assign())
	case s.odds(5):
		return say("conversation.transferred.v1", queue())
	}
	c.phase = closed
	return say("conversation.closed.v1", map[string]any{"reason": "resolved"})
}

// someAgent is one of the tenant's agents, who is signed in if the mix has any
// that sign in.
func (s *story) someAgent(t *tenant) string {
	first := s.entity.pick(s.r)
	for n := range t.agents {
		if a := t.agents[(first+n)%len(t.agents)]; a != nil && a.signedIn {
			return a.name
		}
	}
	return s.pickAgent(t).name
}
