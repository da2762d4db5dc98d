// Package bench measures the whole way of traffic, as the platform runs it on
// one machine: from Kafka to the functions, and on to those that follow from
// them, all committed in PostgreSQL (which waits for its disk) and shown in
// Redis. Every guarantee is on, and every process is the one that users run.
//
// A run has two phases. First the topics are filled while the triggers are
// down; then they are started, and it measures from the first decision until
// nothing is on its way any more: events a second, and CPU time by process.
//
// A full topic says nothing of latency, as what waits there waits for the rest.
// So the second phase sends at a steady rate below that speed. Part of the
// events are probes: each is about an entity of its own. A probe is timed from
// the call that gives it to the Kafka client, until another session of
// PostgreSQL sees its decision, and until Redis shows what the function renders
// of it. Both are looked for every few milliseconds, which the times contain.
//
// A crash leaves a data folder behind, .millrace/bench-*, and nothing else.
package bench
