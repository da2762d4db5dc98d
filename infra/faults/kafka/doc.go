// Package kafka makes the faults of Kafka, and of what stands between it and the
// functions, happen on a real Apache Kafka of three brokers, with triggers,
// functions, relay and gateway as processes of their own, and real PostgreSQL
// and Redis: brokers killed and restarted, triggers killed, paused and joining at
// named points, the requests of a function to a broker and the answers cut,
// transactions aborted, offsets set back. Each test ends with the invariants of
// all that was ever sent. It has no code but tests.
//
// The tests take minutes and share the one cluster, which most of them hurt: they
// run one after the other, by `go tool task faults`, which sets MILLRACE_FAULTS.
//
//	MILLRACE_SEED  the seed of the traffic that a failure printed; else a new one
package kafka
