// Package binding takes CloudEvents off HTTP requests, as the CloudEvents HTTP
// binding has them: binary, structured and batched. Whoever takes events by
// HTTP reads them through it, with the same limits.
//
// What it promises: the bytes of requests in the process are bounded, a sender
// holds at most four times what it has sent, and what cannot be read as a whole,
// or is too large, is refused with a *fault.Error. A single event that cannot be
// read is not: it comes back with the reason.
//
// It keeps nothing: a crash does nothing to it.
package binding
