// Package streams is what an operator does to the streams of producers: find
// those that are stuck behind a sequence that never came, skip what is lost, and
// adopt a stream that does not start at 1.
//
// What changes a stream is one transaction under the lock of its entity, as a
// decision is. It moves the position, enters the operation into
// millrace.operations, and enters what is ready then into the outbox, from where
// the relay's next sweep drains it. So a crash leaves nothing half done.
package streams
