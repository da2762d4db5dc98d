package kafka

// Functions are the event families, each with a topic of its own.
func Functions() []string {
	return []string{"agent", "conversation", "message", "trade", "position", "ledger"}
}

// Events is the topic that a function consumes.
func Events(function string) string { return function + "-events" }

// DeadLetters is the topic for what a function's trigger could not hand over.
func DeadLetters(function string) string { return Events(function) + "-dead-letter" }

// OtherDeadLetters is the topic for what comes by a Knative Broker, cannot be
// taken, and names no function.
const OtherDeadLetters = "events-dead-letter"
