// Package message keeps the messages of conversations: sent, edited, redacted.
//
// The entity is the conversation. A message is named by the event that sent it.
// Only that event's source may edit it; anybody may redact it, as compliance
// does. What people wrote is confidential: no decision depends on it, and a
// redaction overwrites it wherever it is stored.
//
// What a crash does: nothing. The package runs inside the runtime's
// transaction.
package message

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/millrace/millrace/shared/function"
)

// New returns the function.
func New() *function.Function[Conversation] {
	return &function.Function[Conversation]{
		Name: "message",
		Rules: []function.Rule[Conversation]{
			function.On("message.sent.v1", send),
			function.On("message.edited.v1", edit),
			function.On("message.redacted.v1", redact),
		},
		Load:      load,
		Save:      save,
		LoadViews: loadViews,
		LoadAll:   loadAll,
		Views:     render,
	}
}

// Conversation is the state of an entity: those of its messages that were
// loaded.
type Conversation struct {
	Messages map[function.Name]*Message `json:"messages,omitempty"`
}

// State says whether a message still is what was sent.
type State string

// The states of a message.
const (
	Sent     State = "sent"
	Edited   State = "edited"
	Redacted State = "redacted"
)

// Message is one message as it stands after its last change. Of a redacted one
// only the author is left.
type Message struct {
	Author      string         `json:"author"`
	Text        string         `json:"text,omitempty"`
	Attachments []Attachment   `json:"attachments,omitempty"`
	Details     jsontext.Value `json:"details,omitempty"` // an object; canonical
	State       State          `json:"state"`
	Time        time.Time      `json:"time"`    // of the sending
	Number      int64          `json:"number"`  // version of the conversation at the sending
	Version     int64          `json:"version"` // version of the conversation at the last change

	stored  bool // there is a row of it
	changed bool // the row is to be written
}

func (c *Conversation) add(name function.Name, m *Message) {
	if c.Messages == nil {
		c.Messages = map[function.Name]*Message{}
	}
	c.Messages[name] = m
}
