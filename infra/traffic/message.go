package traffic

import (
	"fmt"
	"slices"
)

const (
	chatServer = "/chat"
	compliance = "/compliance"
)

// lines are what people say.
var lines = []string{
	"Hello, how can I help you today?",
	"My card was declined at the till this morning, although there is money in the account.",
	"Thank you. I have found your account and see the payment.",
	"Could you please confirm the date of your last order?",
	"It was on the third, and I have still not had the confirmation that you promised me on the phone.",
	"I am passing you on to a colleague who knows more about this; please stay with me for a moment.",
	"Das hat sehr geholfen, vielen Dank!",
	"Merci, c'est réglé.",
	"The transfer of 1,250.00 was booked twice. Please reverse the second one.",
	"Is there anything else that I can do for you?",
}

// remembered is how many messages of a conversation are still edited or redacted.
const remembered = 8

// pickTalk picks a conversation that has started, if the mix has any that start.
func (s *story) pickTalk(t *tenant) *conversation {
	first := s.entity.pick(s.r)
	for n := range t.conversations {
		c := t.conversations[(first+n)%len(t.conversations)]
		if c != nil && !c.over && c.phase > begins && c.phase < closed {
			return c
		}
	}
	return s.conversationAt(t, first)
}

func (s *story) tellMessage(c *conversation) *intent {
	c.messages++
	switch n := s.r.IntN(100); {
	case len(c.talk) == 0 || n >= 6:
		return s.tellSent(c)
	case n < 4:
		return s.say(&c.entity, chatServer, "message.edited.v1",
			map[string]any{"message": pick(s.r, c.talk), "text": pick(s.r, lines) + " (corrected)"})
	case n < 5:
		return s.say(&c.entity, chatServer, "message.redacted.v1", map[string]any{"message": c.forget(s), "reason": "asked for"})
	}
	return s.say(&c.entity, compliance, "message.redacted.v1",
		map[string]any{"message": c.forget(s), "source": chatServer, "reason": "card number"})
}

func (s *story) tellSent(c *conversation) *intent {
	data := map[string]any{"author": c.customer}
	if c.agent != "" && s.odds(50) {
		data["author"] = c.agent
	}
	if s.odds(95) {
		data["text"] = pick(s.r, lines)
	}
	if data["text"] == nil || s.odds(3) {
		n := s.r.IntN(1000)
		data["attachments"] = []map[string]any{{
			"name": fmt.Sprintf("scan-%d.pdf", n), "url": fmt.Sprintf("https://files.example/%s/%d", c.name, n),
			"media_type": "application/pdf", "bytes": 10_000 + n,
		}}
	}
	if s.odds(10) {
		data["details"] = map[string]any{"language": pick(s.r, []string{"de", "en", "fr"}), "client": "web"}
	}
	i := s.say(&c.entity, chatServer, "message.sent.v1", data)
	c.talk = append(c.talk, i.event.ID)
	if len(c.talk) > remembered {
		c.talk = slices.Delete(c.talk, 0, 1)
	}
	return i
}

// forget takes a message out of the talk and returns its id.
func (c *conversation) forget(s *story) string {
	n := s.r.IntN(len(c.talk))
	id := c.talk[n]
	c.talk = slices.Delete(c.talk, n, n+1)
	return id
}
