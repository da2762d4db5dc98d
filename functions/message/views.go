package message

import (
	"encoding/json"

	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/views"
)

// shown is how many messages of a conversation Redis shows.
const shown = 50

// shownMessage is an element of the list of a conversation's last messages.
type shownMessage struct {
	Source string `json:"source"`
	ID     string `json:"id"`
	*Message
}

// render shows the messages of the state in the conversation's list. A redacted
// one stays there without what it said. Their place is the order of sending,
// which no clock changes. Each change is published.
func render(e *function.Entity[Conversation]) []views.View {
	key := views.Key(e.TenantID, "messages", e.Subject)
	list := make([]views.View, 0, len(e.State.Messages))
	for name, m := range e.State.Messages {
		value, err := json.Marshal(shownMessage{name.Source, name.ID, m})
		if err != nil {
			panic(err) // a Message always has a JSON form
		}
		list = append(list, views.Recent{
			Key: key, Member: name.Source + " " + name.ID, Version: m.Version,
			Score: float64(m.Number), Value: string(value), Keep: shown, Publish: true, Present: true,
		})
	}
	return list
}
