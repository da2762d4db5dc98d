package conversation

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/millrace/millrace/shared/function"
)

const (
	maxName     = 128 // characters of an agent's, a queue's or a customer's
	maxReason   = 500 // characters
	maxPriority = 9
)

// StartedV1 is the payload of conversation.started.v1.
type StartedV1 struct {
	Channel  Channel `json:"channel"`
	Customer string  `json:"customer"`
}

// Validate implements function.Payload.
func (p StartedV1) Validate() error {
	switch p.Channel {
	case Voice, Chat, Email, SMS, Social:
		return function.CheckOptionalText("customer", p.Customer, maxName)
	}
	return fmt.Errorf("channel is %q, want voice, chat, email, sms or social", p.Channel)
}

// QueuedV1 is the payload of conversation.queued.v1.
type QueuedV1 struct {
	Queue    string `json:"queue"`
	Priority *int   `json:"priority"` // nil: as before
}

// Validate implements function.Payload.
func (p QueuedV1) Validate() error {
	if p.Priority != nil && (*p.Priority < 0 || *p.Priority > maxPriority) {
		return fmt.Errorf("priority is %d, want 0 to %d", *p.Priority, maxPriority)
	}
	return function.CheckText("queue", p.Queue, maxName)
}

// AssignedV1 is the payload of conversation.assigned.v1.
type AssignedV1 struct {
	Agent string `json:"agent"`
}

// Validate implements function.Payload.
func (p AssignedV1) Validate() error { return function.CheckText("agent", p.Agent, maxName) }

// TransferredV1 is the payload of conversation.transferred.v1: to an agent or
// into a queue.
type TransferredV1 struct {
	Agent string `json:"agent"`
	Queue string `json:"queue"`
}

// Validate implements function.Payload.
func (p TransferredV1) Validate() error {
	if (p.Agent == "") == (p.Queue == "") {
		return errors.New("want either agent or queue")
	}
	return cmp.Or(
		function.CheckOptionalText("agent", p.Agent, maxName),
		function.CheckOptionalText("queue", p.Queue, maxName),
	)
}

// ClosedV1 is the payload of conversation.closed.v1.
type ClosedV1 struct {
	Reason string `json:"reason"`
}

// Validate implements function.Payload.
func (p ClosedV1) Validate() error { return function.CheckOptionalText("reason", p.Reason, maxReason) }
