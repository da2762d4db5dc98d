// Package topics is the one list of Millrace's Kafka topics. The local stack,
// the tests and the checks of the manifests take it from here.
//
// A crash in [Ensure] leaves some topics made and others not; running it again
// makes the rest.
package topics
