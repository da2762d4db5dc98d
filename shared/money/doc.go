// Package money holds exact decimals and currencies.
//
// Amounts come in as text, are computed without rounding, and go out as text:
// nowhere is there a binary floating-point number that an amount depends on.
// Two things keep exact numbers from growing without end. What comes from
// outside is bounded by Parse. And only two operations round, QuoRound and
// Round: half to even, to a scale that the caller names.
//
// The package holds no state: a crash does nothing to it.
package money
