// Package e2e tests the running platform from the outside: its own binaries as
// processes, real PostgreSQL and Redis, and events that come from clients of
// Kafka. It has no code but tests.
//
// The random test sends traffic of every kind while it kills processes, and in
// the end holds the whole against the invariants and against a model of its
// own. Half of it are scripts of the financial functions, with refusals and a
// model of their own; half is the traffic of a contact centre. What it did is
// repeated by its seed, save for the moments of the kills.
//
//	MILLRACE_SEED             the seed that a failure printed; else a new one
//	MILLRACE_E2E_EVENTS       how many events are meant (4000)
//	MILLRACE_E2E_KILLS        how many processes are killed (10)
//	MILLRACE_E2E_STORES       how many times PostgreSQL or Redis is killed (0)
//	MILLRACE_E2E_BUILD_FLAGS  flags for building the processes, such as -race
//	MILLRACE_E2E_PATIENCE     how long the kills and then the end are waited for (90s)
package e2e
