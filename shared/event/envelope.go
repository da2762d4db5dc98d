package event

import (
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
