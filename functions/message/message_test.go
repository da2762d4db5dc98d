package message

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function/functiontest"
)

const (
	conversation = "conv-1"
	source       = "/chat"
)

func sent(id, data string) *event.Event {
	return functiontest.Event("message.sent.v1", conversation, source, id, data)
}

func edited(id, message, text string) *event.Event {
	return functiontest.Event("message.edited.v1", conversation, source, id, fmt.Sprintf(`{"message":%q,"text":%q}`, message, text))
}

func redacted(id, message string) *event.Event {
	return functiontest.Event("message.redacted.v1", conversation, "/compliance", id,
		fmt.Sprintf(`{"message":%q,"source":%q}`, message, source))
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	fold := functiontest.NewFold(New(), conversation)
	fold.Apply(t, sent("1", `{"author":"ann","text":"hello"}`))
	fold.Apply(t, sent("2", `{"author":"ann","text":"hello"}`))
	fold.Apply(t, redacted("3", "2"))
	others := edited("9", "1", "other")
	others.Source = "/elsewhere"
	unsaid := redacted("10", "1")
	unsaid.Data = []byte(`{"message":"1"}`) // of its own source: none
	for _, c := range []struct {
		event *event.Event
		want  string
	}{
		{edited("4", "0", "other"), "message-unknown"},
		{edited("5", "3", "other"), "message-unknown"}, // an event, but no message
		{others, "message-unknown"},
		{redacted("6", "0"), "message-unknown"},
		{unsaid, "message-unknown"},
		{edited("7", "2", "other"), "message-redacted"},
		{redacted("8", "2"), "message-redacted"},
	} {
		before := fold.State(t)
		if _, got := fold.Decide(t, c.event); got != c.want {
			t.Errorf("%s %s was refused with %q, want %q", c.event.Type, c.event.Data, got, c.want)
		}
		if after := fold.State(t); after != before {
			t.Errorf("a refusal changed the state from %s to %s", before, after)
		}
	}
}

func TestRedactionsChangeNoDecision(t *testing.T) {
	t.Parallel()
	functiontest.Redactions(t, New(), history)
}

// history draws messages, and edits and redactions of earlier ones, redacted or
// not, and of nothing.
func history(t *rapid.T) []*event.Event {
	events := make([]*event.Event, rapid.IntRange(1, 30).Draw(t, "events"))
	for i := range events {
		id := fmt.Sprint(i)
		earlier := fmt.Sprint(rapid.IntRange(0, i).Draw(t, "earlier"))
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			events[i] = edited(id, earlier, "edited in "+id)
		case 1:
			events[i] = redacted(id, earlier)
		default:
			events[i] = sent(id, rapid.SampledFrom(contents).Draw(t, "content"))
		}
		month := rapid.IntRange(0, 3).Draw(t, "month")
		events[i].Time = functiontest.Time.AddDate(0, month, 0)
	}
	return events
}

// contents are payloads that PostgreSQL could give back otherwise.
var contents = []string{
	`{"author":"ann","text":"hello"}`,
	`{"author":"{\"x\"}'; --","text":"two\nlines,\t\"quoted\" \\ and {braced}"}`,
	`{"author":"ann","attachments":[]}`,
	`{"author":"ann","attachments":[{"name":"a, {b}","url":"https://files.example/1"},{"name":"c","url":"x","media_type":"image/png","bytes":9007199254740991}]}`,
	`{"author":"ann","text":"hello","details":{"longer":1.10,"z":-0.0,"a":[1e3,1e-7,123456789012345678901234567890,1.7e308,null,true],"é":"\u00e9\u2028<"}}`,
	`{"author":"ann","text":"hello","attachments":null,"details":{}}`,
	`{"author":"ann","text":"hello","details":null}`,
}
