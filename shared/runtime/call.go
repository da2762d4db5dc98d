package runtime

import (
	"encoding/json"
	"net/http"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/fault"
)

// Answer says what became of the event of a call. Where the status is 422 it is
// problem details too (RFC 9457).
type Answer struct {
	Title  string `json:"title,omitempty"`
	Status int    `json:"status,omitempty"`

	ID string `json:"id,omitempty"`
	// Outcome is applied, refused, parked or dead-letter; of a duplicate, the
	// first outcome.
	Outcome string `json:"outcome"`
	// Duplicate says that an earlier delivery was decided, and this one changed
	// nothing.
	Duplicate bool `json:"duplicate,omitempty"`
	// Version is the one that the decision took in the entity's order.
	Version int64 `json:"version,omitempty"`
	// Reason is why the event was refused or is a dead letter: one word. Detail
	// says it for people, the first time.
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// serveCall decides one event and answers, after the commit, what became of it.
// A call that gets no answer, or 503 or 504, may have been decided all the same:
// who repeats it with the same event hears the first outcome.
func (in *intake) serveCall(w http.ResponseWriter, r *http.Request) {
	candidates, err := in.serve(w, r, 1)
	if err == nil && len(candidates) == 0 {
		err = fault.New(fault.Unreadable, "a call has one event, not an empty batch")
	}
	if err != nil {
		fault.Write(w, err)
		return
	}
	newAnswer(candidates[0].event, candidates[0].outcome).write(w)
}

func newAnswer(e *event.Event, o Outcome) Answer {
	a := Answer{Outcome: string(o.Kind), Version: o.Version, Reason: o.Reason, Detail: o.Detail}
	if e != nil {
		a.ID = e.ID
	}
	switch o.Kind {
	case Duplicate:
		a.Outcome, a.Duplicate = string(o.First), true
	case DeadLettered:
		a.Outcome = "dead-letter"
	}
	if a.status() == http.StatusUnprocessableEntity {
		a.Title, a.Status = a.Outcome, a.status()
	}
	return a
}

func (a Answer) status() int {
	switch a.Outcome {
	case string(Applied):
		return http.StatusOK
	case string(Parked):
		return http.StatusAccepted
	}
	return http.StatusUnprocessableEntity
}

func (a Answer) write(w http.ResponseWriter) {
	media := "application/json"
	if a.Status != 0 {
		media = "application/problem+json"
	}
	body, _ := json.Marshal(a) //nolint:errchkjson // strings and numbers
	w.Header().Set("Content-Type", media)
	w.WriteHeader(a.status())
	_, _ = w.Write(append(body, '\n')) // the caller may be gone, and may ask again
}
