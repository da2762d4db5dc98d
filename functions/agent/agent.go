// Package agent keeps the agents of contact centres: who is signed in, in which
// status, with which skills and feature flags.
//
// The entity is the agent. What is told of one while signed out is kept too:
// skills are planned before a shift begins.
//
// What a crash does: nothing. The package runs inside the runtime's
// transaction.
package agent

import (
	"time"

	"github.com/millrace/millrace/shared/function"
)

// New returns the function.
func New() *function.Function[Agent] {
	return &function.Function[Agent]{
		Name: "agent",
		Rules: []function.Rule[Agent]{
			function.On("agent.signed-in.v1", signIn),
			function.On("agent.status-changed.v1", changeStatus),
			function.On("agent.skills-changed.v1", changeSkills),
			function.On("agent.signed-out.v1", signOut),
		},
		Load:      load,
		Save:      save,
		LoadViews: load,
		LoadAll:   load,
		Views:     render,
	}
}

// Agent is the state of an entity, always loaded whole.
type Agent struct {
	Name    string    `json:"name,omitempty"`
	Status  Status    `json:"status,omitempty"` // empty before the first event
	Reason  string    `json:"reason,omitempty"` // of the status
	Since   time.Time `json:"since,omitzero"`   // when the status began, by its event
	Session int64     `json:"session"`          // counts the times of signing in
	Skills  []string  `json:"skills,omitempty"`
	// Features switches functions of the desktop on and off.
	Features map[string]bool `json:"features,omitempty"`
	Version  int64           `json:"version"` // at the last change

	changed bool // the row is to be written
}

// Status says what an agent is doing.
type Status string

// The statuses of an agent.
const (
	Available   Status = "available"
	Busy        Status = "busy"
	WrapUp      Status = "wrap-up"
	Break       Status = "break"
	OfflineWork Status = "offline-work"
	SignedOut   Status = "signed-out"
)

func (a *Agent) signedIn() bool { return a.Status != "" && a.Status != SignedOut }
