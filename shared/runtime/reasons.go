package runtime

import "github.com/millrace/millrace/shared/event"

// Reasons are those why an event is a dead letter undecided. Those of refusals
// are the functions' own.
func Reasons() []string {
	return []string{
		event.Malformed, event.BadAttribute, event.BadTime, event.ReservedProducer, event.UnknownType, event.BadPayload,
		identityConflict, sequenceReused, sequenceConflict, parkedLimit, ruleFailed, notStorable, notEmitted,
	}
}
