// Package operations is what all that operators do to dead letters and streams
// has in common. Each is entered into millrace.operations by the transaction that
// does it, so a crash leaves either both or nothing.
package operations

// Operator is who does something, and why.
type Operator struct{ Who, Why string }
