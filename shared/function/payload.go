package function

import (
	"github.com/go-json-experiment/json"

	"github.com/millrace/millrace/shared/event"
)

// decodePayload reads data strictly: names are case-sensitive, and unknown or
// repeated ones are refused.
func decodePayload[P Payload](data []byte) (P, error) {
	var p P
	if err := json.Unmarshal(data, &p, json.RejectUnknownMembers(true)); err != nil {
		return p, event.Invalidf(event.BadPayload, "%v", err)
	}
	if err := p.Validate(); err != nil {
		return p, event.Invalidf(event.BadPayload, "%v", err)
	}
	return p, nil
}
