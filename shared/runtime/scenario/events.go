package scenario

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/outbox"
)

// usual are the attributes of events that do not say otherwise.
var usual = map[string]string{
	"specversion":     "1.0",
	"tenantid":        "acme",
	"source":          "/desk",
	"subject":         "acct-1",
	"time":            "2025-03-14T09:26:53Z",
	"datacontenttype": "application/json",
}

// parseEvents reads events, one a line, through a CloudEvents batch, and
// returns a name for each: its id, or its line.
func parseEvents(lines string) (events []event.Received, names []string, err error) {
	var elements []string
	for line := range strings.Lines(lines) {
		line = strings.TrimSpace(line)
		if raw, ok := strings.CutPrefix(line, "raw "); ok {
			elements, names = append(elements, raw), append(names, "raw")
			continue
		}
		element, name, err := parseEvent(line)
		if err != nil {
			return nil, nil, fmt.Errorf("%w in event %q", err, line)
		}
		elements, names = append(elements, element), append(names, name)
	}
	events, err = event.ParseBatch([]byte("["+strings.Join(elements, ",")+"]"), len(elements), math.MaxInt)
	return events, names, err
}

// parseEvent returns the JSON form of an event, and its id.
func parseEvent(line string) (element, id string, err error) {
	attributes := maps.Clone(usual)
	if attributes["type"], line, err = nextWord(line); err != nil {
		return "", "", err
	}
	if id, line, err = nextWord(line); err != nil {
		return "", "", err
	}
	attributes["id"] = id
	for line != "" && line[0] != '{' && line[0] != '[' {
		name, rest, isAttribute := strings.Cut(line, "=")
		if !isAttribute {
			return "", "", fmt.Errorf("%q is no attribute", line)
		}
		if name == "data" {
			line = rest
			break
		}
		if attributes[name], line, err = nextWord(rest); err != nil {
			return "", "", err
		}
	}
	object := map[string]any{}
	for name, value := range attributes {
		if value != "" {
			object[name] = value
		}
	}
	if line != "" {
		object["data"] = json.RawMessage(line)
	}
	out, err := json.Marshal(object)
	return string(out), id, err
}

// nextWord cuts a word off a line: up to a space, or in quotes as in Go.
func nextWord(line string) (word, rest string, err error) {
	if !strings.HasPrefix(line, `"`) {
		word, rest, _ = strings.Cut(line, " ")
		return word, strings.TrimSpace(rest), nil
	}
	quoted, err := strconv.QuotedPrefix(line)
	if err != nil {
		return "", "", err
	}
	word, err = strconv.Unquote(quoted)
	return word, strings.TrimSpace(line[len(quoted):]), err
}

// formatMessages writes a line a message, by topic: between topics there is no
// order.
func formatMessages(messages []outbox.Message) string {
	slices.SortStableFunc(messages, func(a, b outbox.Message) int { return strings.Compare(a.Topic, b.Topic) })
	var out strings.Builder
	for _, m := range messages {
		received := event.ParseStructured(m.Value)
		if received.Event == nil {
			fmt.Fprintf(&out, "%s %q %v\n", m.Topic, m.Value, m.Headers)
			continue
		}
		fmt.Fprintf(&out, "%s %s\n", m.Topic, formatEvent(received.Event))
	}
	return out.String()
}

// formatEvent is the opposite of parseEvent.
func formatEvent(e *event.Event) string {
	out := []string{e.Type, quote(e.ID)}
	add := func(name, value string) {
		if value != usual[name] {
			out = append(out, name+"="+quote(value))
		}
	}
	add("source", e.Source)
	add("tenantid", e.TenantID)
	add("subject", e.Subject)
	add("time", e.Time.Format(time.RFC3339Nano))
	if e.Sequence > 0 {
		add("sequence", strconv.FormatInt(e.Sequence, 10))
	}
	for _, name := range slices.Sorted(maps.Keys(e.Extensions)) {
		if name != event.DecisionExtension { // it is another one at every run
			add(name, e.Extensions[name])
		}
	}
	return strings.Join(append(out, string(e.Data)), " ")
}

// quote quotes what is no plain word.
func quote(s string) string {
	if s != "" && !strings.ContainsAny(s, " \"\\\n") && s[0] != '{' && s[0] != '[' {
		return s
	}
	return strconv.Quote(s)
}
