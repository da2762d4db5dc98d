// Package gateway is the way in by HTTP: it puts events into Kafka for people,
// services, and the one Trigger of a Knative Broker, and it makes synchronous
// calls to functions. docs/http.md tells its users how.
//
// # What it promises
//
//   - An event that was answered with 202 is in Kafka, on all replicas in sync.
//     All events of a request are, or the answer is another one. Then some may
//     be there all the same: who sends the request again makes duplicates,
//     which the functions know by their source and id.
//   - Nothing enters Kafka that is sure to become a dead letter: events are held
//     to the event contract here, and a request with one that breaks it is
//     refused whole.
//   - What a Broker's Trigger brings is not refused for what it says, since a
//     Broker drops that: it becomes a dead letter in Kafka, on all replicas in
//     sync, and is answered with 202 then.
//   - A synchronous call answers what was decided, after the commit. It is no
//     part of any order in Kafka.
//   - Everything has a limit: bytes of headers, bodies and events, requests in
//     flight, and the time for each step.
//   - With OIDC configured, a request needs a bearer token whose claims allow
//     the tenant and the type of each event. Without, only this machine is
//     served.
//
// # The way of a request
//
// routes.go finds the handler, access.go and keys.go say who it is, events.go,
// plain.go, calls.go or bury.go read it, room is taken, accept.go checks each
// event, trace.go gives it a trace, and produce.go puts it into Kafka, or calls.go
// posts it to the function. letter.go makes dead letters of what a Broker brought.
// framing.go refuses what two servers could read differently.
//
// What a crash does:
//
//	before the records are in Kafka    the client has no answer and sends again
//	after that, before the answer      the same; the events are there twice, and
//	                                   the function takes each once
//	a dead letter sent, no answer yet  the Broker sends the event again, and it is
//	                                   in the dead-letter topic twice
//	in a call, before the commit       nothing happened; the client calls again
//	after the commit                   the client calls again with the same id,
//	                                   and hears the first outcome
//
// SIGTERM: readiness goes, requests in flight have DrainTimeout to end.
package gateway
