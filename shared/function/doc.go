// Package function is the contract between Millrace and one event family.
//
// A function is a fold. Its rules are pure: (state, event) -> (state,
// effects), with no clock, no randomness and no I/O, so that folding the
// audit log again gives the same state and the same emitted events, for ever.
// Around the rules stand one query to load what a batch needs, one to save
// what it changed, and a pure rendering of the Redis views.
//
// What a crash does: nothing. The runtime calls Load, the rules and Save
// inside one transaction; what was not committed did not happen, and the
// events come again.
package function
