// Package postgres opens connections to PostgreSQL and says what its errors
// mean for a transaction: try the whole of it again, or find the event that
// the database refuses.
//
// A lost reply to COMMIT leaves the outcome open, whatever the driver says of
// it. The rule here is that such a transaction runs again as a whole, and
// deduplication finds out what happened.
package postgres
