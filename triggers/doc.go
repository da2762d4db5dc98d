// Package triggers holds all that moves events: kafka (the batch trigger) and
// relay (the sweeper of outbox rows).
package triggers
