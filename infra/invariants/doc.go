// Package invariants says whether what Millrace promises about its data holds.
//
//	I1  every acknowledged event is in the effects, parked or a dead letter
//	I2  one effect for each identity (tenant, source, id)
//	I3  per stream the decided sequence is contiguous, per entity the versions are
//	I4  postings sum to zero per entry and currency, and make the balances;
//	    conversations make the agents' counts
//	I5  Redis equals what PostgreSQL says
//	I6  no committed offset is ahead of committed effects
//	I7  folding the audit log from the beginning gives the live tables and
//	    exactly the events that the targets have decided
//	I8  nothing that is stored says what was redacted
//
// It trusts nothing that the functions, the triggers or the relay say of
// themselves: it reads Kafka's records, PostgreSQL's tables and Redis, and
// folds with the functions' own rules. [Check] judges all of a system; of one at
// work ([Deps.Live]) it leaves out what is still on its way. [Verify] is the part
// of it that needs no Kafka, and the same code. [Settle] waits for rest.
//
// It only reads, page by page and in short transactions. Its memory is bounded
// by a page, by the largest entity, and by a few dozen bytes for each dead
// letter, each sum and each key that Redis shows.
package invariants
