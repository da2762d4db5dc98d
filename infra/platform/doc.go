// Package platform runs the whole of Millrace on one machine: the stack that
// it stands on, and the functions, triggers, relay and gateway as processes of
// their own, as they would be on Knative. `millrace up` and the end-to-end tests
// use it alike.
//
// What a crash does: a process that dies is started again after a pause, as
// Kubernetes would; Kafka hands over again what it had not marked as done. When
// this process itself dies, by a kill -9 too, the kernel ends the children with
// it (Linux), or the next start finds and stops them (elsewhere). All state is
// in the data folder and is taken up by the next start.
package platform
