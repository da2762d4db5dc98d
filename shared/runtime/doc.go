// Package runtime runs one function: it takes CloudEvents by HTTP, decides
// them, and answers when the decisions are committed.
//
// What it promises: an event that was acknowledged (202) is decided, parked or
// a dead letter, in PostgreSQL, once. Decisions about one entity have one
// order. The events of a stream are decided by their sequence. A request is
// taken whole or not at all; one that finds no room in its time to wait gets 429,
// one that cannot be committed gets 503, and both may simply come again.
//
// The way of a request: server.go reads it, candidate.go checks each event,
// admission.go waits for room, shard.go queues by entity, processor.go commits
// whatever has queued up while its last transaction ran: transaction.go runs
// it, plan.go (pure) says what becomes of each event, redrive.go settles dead
// letters that an operator sent again. Where a decision redacts an event,
// redact.go overwrites what is stored of it; redacted.go keeps what comes later
// from being stored.
//
// What a crash does, step by step:
//
//	before the commit     nothing happened; the sender got no answer and sends again
//	in the commit         either of both; a repeat finds the events seen
//	after the commit      the sender sends again and finds the events seen; what
//	                      was to be told lies in the outbox, and the sweeper tells it
package runtime
