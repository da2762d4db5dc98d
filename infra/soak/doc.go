// Package soak runs the platform of one machine under traffic with everything
// that producers do wrong, while it kills, freezes and cuts off what the
// platform is made of, and in the end says whether anything was lost or took
// effect twice.
//
// The traffic and the faults follow from the seed: which fault strikes after how
// many records. What each fault meets at that moment does not.
//
// The verdict trusts nothing that Millrace says of itself: the generator knows
// which events have to be decided, parked or dead letters in the end, and
// [github.com/millrace/millrace/infra/invariants] holds Kafka, PostgreSQL and
// Redis against each other.
//
// A crash leaves a data folder behind, .millrace/soak-*, and nothing else. A
// failed soak keeps it, with the logs of all processes.
package soak
