package agent

import "github.com/millrace/millrace/shared/function"

// signIn begins a session. One that is still open ends by that: its desktop
// crashed, or the agent went to another.
func signIn(a *Agent, e function.Event, p SignedInV1, _ *function.Effects) error {
	if p.Name != "" {
		a.Name = p.Name
	}
	if p.Skills != nil {
		a.Skills = p.Skills
	}
	if p.Features != nil {
		a.Features = p.Features
	}
	a.Session++
	a.Status = "" // the new session's time begins now
	a.become(Available, "", e)
	return nil
}

func changeStatus(a *Agent, e function.Event, p StatusChangedV1, _ *function.Effects) error {
	if !a.signedIn() {
		return function.Refuse("agent-signed-out", "the agent is not signed in, and can't be %s", p.Status)
	}
	a.become(p.Status, p.Reason, e)
	return nil
}

func changeSkills(a *Agent, e function.Event, p SkillsChangedV1, _ *function.Effects) error {
	a.Skills = p.Skills
	if a.Status == "" {
		a.become(SignedOut, "", e)
	}
	a.Version, a.changed = e.Version, true
	return nil
}

func signOut(a *Agent, e function.Event, p SignedOutV1, _ *function.Effects) error {
	if !a.signedIn() {
		return function.Refuse("agent-signed-out", "the agent is not signed in")
	}
	a.become(SignedOut, p.Reason, e)
	return nil
}

// become changes the status. One that is told again, perhaps with another
// reason, goes on since it began.
func (a *Agent) become(s Status, reason string, e function.Event) {
	if a.Status != s {
		a.Status, a.Since = s, e.Time
	}
	a.Reason, a.Version, a.changed = reason, e.Version, true
}
