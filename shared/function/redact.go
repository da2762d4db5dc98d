package function

import (
	"bytes"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/millrace/millrace/shared/event"
)

// Confidential is a Payload with members that a redaction overwrites. No
// decision may depend on what they say, so that folding the audit log again
// gives the same state; package functiontest holds a function to that.
type Confidential interface {
	Payload
	// Confidential returns the JSON names of these members.
	Confidential() []string
}

// Referring is a Payload that refers to an earlier event, and is redacted with
// it.
type Referring interface {
	Payload
	// RefersTo returns the name of that event. own is that of the payload's.
	RefersTo(own Name) Name
}

// Redact redacts an event that this entity decided, and all those that refer to
// it. The state is the rule's to change; the runtime overwrites the
// confidential members in what else is stored of these events or comes later,
// in the audit log, in dead letters and in parking, and keeps their digests.
func (fx *Effects) Redact(name Name) { fx.Redacted = append(fx.Redacted, name) }

// HasConfidential reports whether a function has anything to redact.
func HasConfidential(fn Definition) bool {
	return slices.ContainsFunc(fn.Types(), func(eventType string) bool {
		_, is := fn.SamplePayload(eventType).(Confidential)
		return is
	})
}

// ReferringTypes returns the event types that refer to earlier events.
func ReferringTypes(fn Definition) []string {
	return slices.DeleteFunc(fn.Types(), func(eventType string) bool {
		_, is := fn.SamplePayload(eventType).(Referring)
		return !is
	})
}

// Concerns reports whether e is one of the redacted events or refers to one.
// payload is nil if e's data cannot be decoded: then it refers to whatever it
// mentions.
func Concerns(e *event.Event, payload any, redacted map[Name]bool) bool {
	if len(redacted) == 0 {
		return false
	}
	own := Name{Source: e.Source, ID: e.ID}
	if redacted[own] {
		return true
	}
	if r, is := payload.(Referring); is {
		return redacted[r.RefersTo(own)]
	}
	if payload == nil {
		for name := range redacted {
			if mentions(e, name.ID) {
				return true
			}
		}
	}
	return false
}

func mentions(e *event.Event, id string) bool {
	if !e.IsJSON {
		return bytes.Contains(e.Data, []byte(id))
	}
	dec := jsontext.NewDecoder(bytes.NewReader(e.Data))
	for {
		tok, err := dec.ReadToken()
		if err != nil {
			return false // the end: it is valid JSON
		}
		if kind := tok.Kind(); (kind == '"' || kind == '0') && tok.String() == id {
			return true
		}
	}
}

// Masked returns e with its confidential members overwritten: texts by
// "[redacted]", the others by what is empty of their kind, so that the payload
// is still valid. payload is nil if e's data cannot be decoded: then nobody
// knows what in it is confidential, and all of it goes.
func Masked(e *event.Event, payload any) *event.Event {
	masked := *e
	if payload == nil {
		masked.Data, masked.IsJSON = nil, false
		return &masked
	}
	if p, is := payload.(Confidential); is {
		masked.Data = mask(e.Data, p.Confidential())
	}
	return &masked
}

var masks = map[jsontext.Kind]jsontext.Value{
	jsontext.KindString: jsontext.Value(`"[redacted]"`), jsontext.KindNumber: jsontext.Value(`0`),
	jsontext.KindTrue: jsontext.Value(`false`), jsontext.KindFalse: jsontext.Value(`false`),
	jsontext.KindBeginObject: jsontext.Value(`{}`), jsontext.KindBeginArray: jsontext.Value(`[]`),
	jsontext.KindNull: jsontext.Value(`null`),
}

func mask(data []byte, members []string) []byte {
	var object map[string]jsontext.Value
	if err := json.Unmarshal(data, &object); err != nil {
		panic(err) // it is the data of a payload, which was decoded
	}
	for _, name := range members {
		if value, is := object[name]; is {
			object[name] = masks[value.Kind()]
		}
	}
	out, err := json.Marshal(object, json.Deterministic(true))
	if err != nil {
		panic(err) // it was JSON before
	}
	return out
}
