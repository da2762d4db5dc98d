package event

// DeadLetterExtension is the extension attribute by which an operator's redrive
// names the dead letter that the event is. It is no permission: the dead letter
// has to be in state redriving, and to be of this very event.
const DeadLetterExtension = "millracedeadletter"
