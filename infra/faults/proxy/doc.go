// Package proxy is a TCP proxy that reads the messages that pass through it, so
// that a test or a soak can make exactly the fault that it means: cut a
// connection, delay it, hold it up at a named statement or at the reply to it,
// or drop that reply alone.
//
// A real client and a real server talk through it and need no hooks: what is
// held up here looks to both like a slow network, and what is cut like a broken
// one. It ends with the process.
package proxy
