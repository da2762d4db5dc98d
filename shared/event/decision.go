package event

// DecisionExtension is the extension attribute of what a function emits that says
// by which decision: the version of the emitting entity, and a mark of the decision
// that took it. Whoever decides the event looks whether that decision is there.
const DecisionExtension = "millracedecision"
