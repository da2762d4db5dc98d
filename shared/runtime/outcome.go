package runtime

// OutcomeKind is what became of an event.
type OutcomeKind string

// What becomes of an event. All of them are acknowledged.
const (
	Applied      OutcomeKind = "applied"   // decided, and in effect
	Refused      OutcomeKind = "refused"   // decided against by the rules
	Duplicate    OutcomeKind = "duplicate" // decided by an earlier delivery
	Parked       OutcomeKind = "parked"    // waits for an earlier event of its stream
	DeadLettered OutcomeKind = "dead"      // could not be decided
)

// Outcome is what became of an event, and why.
type Outcome struct {
	Kind    OutcomeKind
	Version int64 // the entity's version that the decision took
	Reason  string
	Detail  string
	// First is the outcome of the first delivery, for a Duplicate.
	First OutcomeKind
}
