// Package send reads events, completes them, puts them into Kafka and finds out
// what the functions decided.
//
// A crash while sending leaves a part of the events in Kafka. Sending the same
// input again is harmless where the events have ids: those that arrived are
// deduplicated. Events whose ids are made here would take effect twice.
package send
