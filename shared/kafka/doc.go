// Package kafka is how processes reach Kafka: encrypted and authenticated, if
// their environment says so.
package kafka
