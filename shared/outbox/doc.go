// Package outbox carries what a committed transaction still has to tell: the
// views that Redis shows, the events that go to Kafka, the dead letters that
// are published, and parked events that are ready but did not fit.
//
// A Claim is one row of the table, written in the transaction that caused it.
// The Relay publishes claims, and is the only thing that does: a process
// relays its own claims right after the commit, and a sweeper takes the rows
// that a crash left behind. Publishing twice changes nothing, since views are
// versioned and emitted events have deterministic ids; so a crash between any
// two steps leaves the row, and the row is published again.
package outbox
