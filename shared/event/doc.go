// Package event reads, checks, identifies and writes the CloudEvents that
// Millrace's functions consume and emit.
//
// It promises three things. What Validate accepts is safe to store: every
// attribute is valid UTF-8 without control characters and within its limit, so
// PostgreSQL and Redis accept it. What cannot be read keeps its
// raw bytes, so nothing is lost. And two deliveries of one event have one
// digest, however often they were re-encoded on the way.
//
// The package holds no state: a crash does nothing to it.
package event
