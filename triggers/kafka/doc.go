// Package kafka is the batch trigger: a consumer group that posts CloudEvents
// from Kafka topics to a function, many in one request
// (application/cloudevents-batch+json). It is a Knative source: the sink comes
// by K_SINK, extensions to set on each event by K_CE_OVERRIDES.
package kafka
