// Package conversation keeps conversations with customers: which agent has
// each, which queue it waits in, and how many each agent has and had.
//
// The entity is the conversation. Its events may come in any order: whichever
// comes first opens it, and what it is about may be said at any time. What an
// agent has is an aggregate, to which each decision adds the difference that it
// makes; so conversations do not wait for each other, and the counts are right
// in whatever order transfers and closes come.
//
// What a crash does: nothing. The package runs inside the runtime's
// transaction.
package conversation

import (
	"time"

	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/views"
)

// agentCounts is the aggregate of the agents' conversations, by agent; its
// fields are open and closed.
const agentCounts = "agent"

// New returns the function.
func New() *function.Function[Conversation] {
	return &function.Function[Conversation]{
		Name: "conversation",
		Rules: []function.Rule[Conversation]{
			function.On("conversation.started.v1", start),
			function.On("conversation.queued.v1", queue),
			function.On("conversation.assigned.v1", assign),
			function.On("conversation.transferred.v1", transfer),
			function.On("conversation.closed.v1", closeDown),
		},
		Load:       load,
		Save:       save,
		LoadViews:  load,
		LoadAll:    load,
		Views:      render,
		Aggregates: map[string]func(function.Aggregate) []views.View{agentCounts: renderCounts},
	}
}

// Conversation is the state of an entity. While it is open it is with an agent,
// or waits in a queue, or is on its way to one of them.
type Conversation struct {
	Channel  Channel   `json:"channel,omitempty"` // empty until it is said to have started
	Customer string    `json:"customer,omitempty"`
	Agent    string    `json:"agent,omitempty"` // who has it, or had it when it was closed
	Queue    string    `json:"queue,omitempty"` // where it waits
	Priority int       `json:"priority"`        // 0 to maxPriority
	Waiting  time.Time `json:"waiting_since,omitzero"`
	// Queues are all that it ever waited in: the views take it out of them.
	Queues []string  `json:"queues,omitempty"`
	Opened time.Time `json:"opened"`          // time of the first event
	Closed time.Time `json:"closed,omitzero"` // zero while it is open

	changed bool // the row is to be written
}

// Channel is what a conversation is held by.
type Channel string

// The channels.
const (
	Voice  Channel = "voice"
	Chat   Channel = "chat"
	Email  Channel = "email"
	SMS    Channel = "sms"
	Social Channel = "social"
)

func (c *Conversation) open() bool { return c.Closed.IsZero() }
