// Package kafka is what all that talk to Kafka agree on: how to reach it, the
// settings of a producer that loses nothing, and the names of the topics.
package kafka
