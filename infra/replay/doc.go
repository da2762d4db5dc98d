// Package replay delivers events once more: those that a topic holds, or those of
// the audit log.
//
// Into the live system nothing may change: each event is known, and a repeat has
// no effect. What does change was lost before, or is a fault. Into a shadow, a
// database of its own that is made for it on the same server, all is decided
// anew, and the result is compared with the live audit log.
//
// The events go to the functions' own runtime within this process, not by HTTP to
// their processes. So each event's outcome is known, which the answer to a batch
// does not tell; a function that is scaled to zero stays so; nobody needs a way to
// the functions, which inside a cluster nobody else has; and the same path serves
// a shadow, which no process runs on. It is the runtime that the functions have,
// with the same locks and the same transaction, so it may run beside them. The
// price: what is unknown is decided by the rules of this build. Use the one that
// is deployed. Nothing is told to Redis or Kafka from here: what changes lies in
// the outbox, for the relay's next sweep.
//
// Kafka knows no order between partitions. So for a shadow its events are first
// sorted, in the shadow, by the versions that their decisions have in the live
// system; else two sources about one entity would be decided in another order, and
// differ without any fault. An event that was refused and redriven has several
// decisions, each with a record of its own: the shadow redrives it too, at the same
// place in the order.
//
// What a function emitted says by which decision. In a shadow the decisions are
// others, so there it is looked for in the live system, and what that did not emit
// is left out.
//
// Of Kafka only what the triggers are through with is replayed, up to the offsets
// committed at the start: the rest is on its way already.
//
// Identities are remembered for a horizon, the audit log for longer. An event that
// only the audit log knows is not delivered to the live system, where it would be
// decided again; nor is one whose data was redacted since, which would seem to be
// another event with the same identity.
//
// Memory is bounded by a page of records. It keeps nothing: a crash leaves the
// events before it delivered, and a shadow that nobody drops; delivering them
// again changes nothing.
package replay
