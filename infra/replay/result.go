package replay

import (
	"fmt"

	"github.com/millrace/millrace/infra/invariants"
	"github.com/millrace/millrace/shared/event"
)

// Result counts what became of the events, by what they were.
type Result struct {
	// What changed the system that they were delivered to, or, in a dry run, would.
	Applied int `json:"applied"`
	Refused int `json:"refused"`
	Parked  int `json:"parked"`
	Dead    int `json:"dead"`
	Unknown int `json:"unknown"` // in a dry run: the rules were not asked

	// What changed nothing.
	Duplicates  int `json:"duplicates"`
	Waiting     int `json:"waiting"`     // are parked
	Conflicts   int `json:"conflicts"`   // another event with this identity was decided; are dead letters
	DeadLetters int `json:"deadLetters"` // are dead letters already, or nobody emitted them
	Redacted    int `json:"redacted"`
	Unreadable  int `json:"unreadable"` // records that are no events

	// Rows name the first of those that changed something or are in conflict.
	Rows []string `json:"rows,omitempty"`
	// Rest is what is left of each function, if it was stopped: where to go on.
	Rest []Rest `json:"rest,omitempty"`
	// Compared is the comparison of a shadow with the live audit log.
	Compared *invariants.Report `json:"compared,omitempty"`
	// Shadow is the database that was made.
	Shadow string `json:"shadow,omitempty"`

	limit int
}

// Rest is where a replay of a function was stopped.
type Rest struct {
	Function string `json:"function"`
	// Offsets are those of Kafka, by partition, and After the last decision of the
	// audit log that was delivered.
	Offsets map[int32]Range `json:"offsets,omitempty"`
	After   *Decision       `json:"after,omitempty"`
}

// Events is how many there were.
func (r *Result) Events() int {
	return r.Changes() + r.Duplicates + r.Waiting + r.Conflicts + r.DeadLetters + r.Redacted + r.Unreadable
}

// Changes is how many changed something, or would.
func (r *Result) Changes() int { return r.Applied + r.Refused + r.Parked + r.Dead + r.Unknown }

func (r *Result) note(what string, e *event.Event) {
	if len(r.Rows) == r.limit {
		return
	}
	row := fmt.Sprintf("%s: tenant %s, source %s, id %s, %s about %s", what, e.TenantID, e.Source, e.ID, e.Type, e.Subject)
	if e.Sequence > 0 {
		row += fmt.Sprintf(", sequence %d", e.Sequence)
	}
	r.Rows = append(r.Rows, row)
}
