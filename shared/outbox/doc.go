// Package outbox carries what a committed transaction still has to tell: the
// views that Redis shows, the events that go to Kafka, the dead letters that
// are published, and parked events that are ready but did not fit.
//
// A Claim is one row of the table, written in the transaction that caused it.
// The Relay publishes claims, and is the only thing that does: a process
// relays its own claims right after the commit (Offer, Run), and a sweeper
// takes the rows that a crash or an outage left behind (Sweep). Both go the
// same way: show.go brings Redis to what the claims say, send.go puts records
// into Kafka, finish.go takes out of the table what is done.
//
// What holds it together:
//
//   - A row goes when all it says is done, and not before. Publishing twice
//     changes nothing: views are versioned, and emitted events have
//     deterministic ids. So nothing is locked while something is published, and
//     a crash between any two steps only means that a row is published again.
//   - Redis, Kafka and draining do not wait for each other. What is done of a
//     row is taken out of it, so that an outage of one repeats nothing of the
//     others.
//   - Sweepers leave a row alone while it is young, and while who committed it
//     says that it still has it (keep.go): else a busy machine would publish
//     everything twice. It is no lock, and nothing depends on it.
//   - No claim is kept in memory for longer than it takes to try: what fails
//     lies in the table already. So memory is bounded in any outage.
//   - Views carry the database's epoch, read in the snapshot or the transaction
//     that they come from, and a row is deleted only while that epoch lasts.
//     After a failover or a flush of Redis, Reconcile shows everything anew, and
//     once claims of the lost life have expired removes what they brought since.
package outbox
