package event

import (
	"bytes"
	"maps"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// enveloping are the attributes that say whose an event is and where it was.
var enveloping = map[string]bool{
	"id": true, "source": true, "type": true, "subject": true, "tenantid": true, "time": true, "sequence": true,
	"knativekafkapartition": true, "knativekafkaoffset": true,
}

// Envelope returns what is left in JSON of an event that cannot be read: whose
// it was and where, as far as it says so, and nothing of what it said.
func Envelope(raw []byte) []byte {
	var members map[string]jsontext.Value
	lenient := json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if err := json.Unmarshal(raw, &members, lenient); err != nil {
		return []byte("{}")
	}
	maps.DeleteFunc(members, func(name string, value jsontext.Value) bool {
		return !enveloping[name] || value.Kind() != '"' && value.Kind() != '0' || len(value) > MaxOther
	})
	out, err := json.Marshal(members, lenient, json.Deterministic(true))
	if err != nil {
		return []byte("{}")
	}
	return out
}

// Attributes returns what can be read of the attributes of an event in JSON that
// is none, or of which only the beginning is there: of each name the first, none
// longer than an attribute may be.
func Attributes(raw []byte) map[string]string {
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	found := map[string]string{}
	if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '{' {
		return found
	}
	for dec.PeekKind() == '"' && len(found) < 2*MaxExtras {
		tok, err := dec.ReadToken()
		if err != nil {
			return found
		}
		name := tok.String()
		value, err := dec.ReadValue()
		if err != nil {
			return found
		}
		text, err := scalar(name, value)
		if _, known := found[name]; err == nil && !known && attributeName(name) && len(text) <= MaxOther {
			found[name] = text
		}
	}
	return found
}
