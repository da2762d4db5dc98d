// Package stack is what Millrace stands on, on one machine: Kafka, PostgreSQL
// and Redis, for `millrace up` and for tests.
//
// Each part is taken from the environment if it is named there, else started
// here: franz-go's kfake in this process, a real PostgreSQL server and, where
// redis-server is found, a real Redis as child processes. Everything listens
// on 127.0.0.1 only.
//
// What a crash does: the children get a signal from the kernel when this
// process dies (Linux) or are found and stopped at the next start (elsewhere).
// PostgreSQL runs with fsync, so what it committed survives a power cut. kfake
// and Redis survive a kill -9; a power cut can cost them their last moments,
// as neither waits for the disk at each write. Kafka's log can thus end before
// PostgreSQL's last commit: harmless, effects are deduplicated by event id,
// but a producer's last acknowledged events may have to be sent again. For
// promises about power cuts point KAFKA_BROKERS at a real cluster.
package stack
