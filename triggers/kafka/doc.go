// Package kafka is the batch trigger: a member of a consumer group that posts
// CloudEvents from Kafka topics to a function, many in one request
// (application/cloudevents-batch+json).
//
// # What it promises
//
//   - Every record is delivered at least once, or put into a dead-letter topic.
//     An offset is marked only when it and all before it in its partition are
//     done. Reading starts at the earliest record, and sees none of an aborted
//     transaction.
//   - In order per key: what shares an entity (tenantid, subject) or a record key
//     within a partition is in one request at a time, and a request keeps its
//     order. Keys are delivered side by side.
//   - Batches grow by themselves: what queued up while the last requests ran goes
//     into the next. No timer: at low load an event travels alone, at once.
//   - Everything has a limit: events and bytes of a batch, requests under way,
//     events and bytes read ahead. At the last fetching pauses, and a partition
//     that is stuck leaves the others room.
//   - One event does not stop others: a batch that is refused, or that the sink
//     fails on again and again, is halved until the event to blame is alone.
//     Refused (400, 413, 422 and the like) it becomes a dead letter; failing (5xx,
//     connections cut) it is tried on alone, for ever, while only its own key
//     waits and its partition's mark stays.
//   - 429, 503, 5xx, 401, 403, 404, 408, 409 and connection errors are tried again
//     for ever, after Retry-After or a growing pause. outcome.go has the table.
//
// An event may come twice: after a crash, a lost answer, or a partition that
// moved while what lay before the event was not done. The function knows
// it by its source and id.
//
// # The way of a record
//
// intake.go takes it from sarama; convert.go with binary.go and structured.go
// makes an event of it, or it goes to deadletter.go. window.go, lane.go and
// room.go queue it; deliver.go and sink.go send it, under flight.go's count of
// what is under way; claim.go marks it; trace.go tells of those that are followed.
// What a crash does:
//
//	before the answer    the record is read again and posted again
//	after the answer     until the offset is committed, as before; the function
//	                     knows what it has decided
//	a dead letter sent   until the offset is committed, the record is read again,
//	                     and put into the dead-letter topic once more
//
// A revoked partition and SIGTERM are one thing: nothing new takes off; what
// flies has DrainTimeout to land and is marked if it does; then its requests are
// cut off and nothing is marked any more. The sink may still be working on a
// request that was cut off, or timed out, while the next owner sends the same.
//
// # Dead letters
//
// A dead letter is the raw record, with headers that say why it is there:
// docs/events.md describes it, and package deadletter makes it.
//
// # As a Knative source
//
// It takes what a SinkBinding or ContainerSource gives: K_SINK, K_CE_OVERRIDES,
// K_CA_CERTS; and stamps knativekafkaoffset and knativekafkapartition as the
// stock KafkaSource does. K_AUDIENCE (OIDC) is not supported, and refused at
// start.
//
// It does not link knative.dev/eventing's adapter. Tried with v0.50.0: it
// panics at start beside the OpenTelemetry version used here (conflicting schema
// URLs), its main wants a Kubernetes client in the context and port 8008 for
// itself, logs by zap, and it exits the process where an error should be
// returned; it makes the binary 62 MB instead of 13, and a first build on two
// cores takes minutes instead of seconds. What a source has to understand is
// the few variables above, which need none of it. The test with the build tag
// knative holds them against the adapter's own types.
package kafka
