// Package cli is the millrace command: it runs the platform on one machine,
// sends events and tells what became of them.
//
// A crash of `millrace up` is told in package platform. `send` and `status`
// keep nothing: what send had from Kafka an acknowledgement for is kept there,
// and sending the same file again is harmless if its events have ids.
package cli
