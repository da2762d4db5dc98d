package knative

import (
	sourcesv1 "knative.dev/eventing/pkg/apis/sources/v1"
	duckv1 "knative.dev/pkg/apis/duck/v1"
)

// way is what brings events from a topic to a function.
type way struct {
	name, group string
	sink        string // URL
	topics      []string
	deadLetters string // the topic; empty: as the trigger makes it of its topic
}

func ways(m manifests) (of []way) {
	for _, p := range pods(m) {
		if p.part == "kafka-trigger" {
			environment, _ := p.environment(m)
			s := p.settings(m)
			of = append(of, way{p.name, s.group, p.injected["K_SINK"], s.topics, environment["KAFKA_DEAD_LETTER_TOPIC"]})
		}
	}
	for _, s := range all[*KafkaSource](m) {
		w := way{title(s), s.Spec.ConsumerGroup, sinkURL(s.Namespace, s.Spec.Sink), s.Spec.Topics, "none"}
		if ref := s.Spec.Delivery.DeadLetterSink.Ref; ref != nil {
			if sink, ok := find[*KafkaSink](m, ref.Name); ok {
				w.deadLetters = sink.Spec.Topic
			}
		}
		of = append(of, w)
	}
	return of
}

// sinkOf is what K_SINK will be in a Deployment's pods.
func sinkOf(m manifests, deployment string) string {
	for _, b := range all[*sourcesv1.SinkBinding](m) {
		if b.Spec.Subject.Name == deployment {
			return sinkURL(b.Namespace, b.Spec.Sink)
		}
	}
	return ""
}

// sinkURL is where Knative sends what is for a Service; empty if it is for none.
func sinkURL(namespace string, to duckv1.Destination) string {
	if to.Ref == nil {
		return ""
	}
	return "http://" + to.Ref.Name + "." + namespace + ".svc.cluster.local"
}
