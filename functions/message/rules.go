package message

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/millrace/millrace/shared/function"
)

func send(c *Conversation, e function.Event, p SentV1, _ *function.Effects) error {
	c.add(e.Name(), &Message{
		Author: p.Author, Text: p.Text, Attachments: p.Attachments, Details: canonical(p.Details),
		State: Sent, Time: e.Time, Number: e.Version, Version: e.Version, changed: true,
	})
	return nil
}

func edit(c *Conversation, e function.Event, p EditedV1, _ *function.Effects) error {
	m, err := c.readable(p.RefersTo(e.Name()))
	if err != nil {
		return err
	}
	m.Text, m.State, m.Version, m.changed = p.Text, Edited, e.Version, true
	return nil
}

func redact(c *Conversation, e function.Event, p RedactedV1, fx *function.Effects) error {
	name := p.RefersTo(e.Name())
	m, err := c.readable(name)
	if err != nil {
		return err
	}
	m.Text, m.Attachments, m.Details = "", nil, nil
	m.State, m.Version, m.changed = Redacted, e.Version, true
	fx.Redact(name)
	return nil
}

// readable returns a message that was sent and is not redacted.
func (c *Conversation) readable(name function.Name) (*Message, error) {
	m := c.Messages[name]
	switch {
	case m == nil:
		return nil, function.Refuse("message-unknown", "source %s sent no message %q in this conversation", name.Source, name.ID)
	case m.State == Redacted:
		return nil, function.Refuse("message-redacted", "message %q is redacted", name.ID)
	}
	return m, nil
}

// canonical returns details in the form of RFC 8785: one form for what
// PostgreSQL's jsonb holds to be the same. Numbers are doubles in it.
func canonical(details jsontext.Value) jsontext.Value {
	if details.Kind() != '{' {
		return nil
	}
	c := details.Clone()
	if err := c.Canonicalize(); err != nil {
		panic(err) // it was read before
	}
	return c
}
