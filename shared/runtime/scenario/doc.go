// Package scenario runs scenarios of a function that are written down as text:
// events in, then what became of them, and what PostgreSQL, Kafka and Redis
// have of it. Reviewers read the text; -rewrite writes it anew.
//
// A file is a sequence of commands, each followed by ---- and its output, as
// github.com/cockroachdb/datadriven reads them:
//
//	send      events, one a line, as one request; says what became of each
//	emitted   what went to Kafka since the last time
//	rows      what is in the named tables of schema millrace
//	query     what a query returns
//	dead      the dead letters
//	streams   the position of each stream, and its parked events
//	redis     what Redis shows
//
// An event is its type, its id, attributes that differ from the usual ones, and
// its data; "raw" precedes an element of the batch that is no event:
//
//	trade.executed.v1 T1 sequence=1 subject="acct {1}" {"instrument":"AAPL"}
//	trade.executed.v1 T2 data="no object"
//	raw {"specversion":"1.0"}
//
// At the end of each file the audit log is folded again, and compared with what
// the database and Redis have.
//
// The package is for tests. Its world is real but for Kafka, which is a list.
package scenario
