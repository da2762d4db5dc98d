package knative

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	eventingv1 "knative.dev/eventing/pkg/apis/eventing/v1"
	sourcesv1 "knative.dev/eventing/pkg/apis/sources/v1"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

// checkReferences finds what an object names and the manifests do not have.
func checkReferences(m manifests) (errs []error) {
	want := func(from metav1.Object, to *duckv1.KReference) {
		if to != nil && !exists(m, to.APIVersion, to.Kind, to.Name) {
			errs = append(errs, fmt.Errorf("%s: there is no %s %s", title(from), to.APIVersion, describe(to.Kind, to.Name)))
		}
	}
	for _, t := range all[*eventingv1.Trigger](m) {
		want(t, &duckv1.KReference{APIVersion: "eventing.knative.dev/v1", Kind: "Broker", Name: t.Spec.Broker})
		want(t, t.Spec.Subscriber.Ref)
		if d := t.Spec.Delivery; d != nil && d.DeadLetterSink != nil {
			want(t, d.DeadLetterSink.Ref)
		} else {
			errs = append(errs, fmt.Errorf("%s has no dead-letter sink", title(t)))
		}
	}
	for _, b := range all[*sourcesv1.SinkBinding](m) {
		want(b, b.Spec.Sink.Ref)
		want(b, &duckv1.KReference{APIVersion: b.Spec.Subject.APIVersion, Kind: b.Spec.Subject.Kind, Name: b.Spec.Subject.Name})
	}
	for _, p := range all[*sourcesv1.PingSource](m) {
		want(p, p.Spec.Sink.Ref)
	}
	for _, s := range all[*KafkaSource](m) {
		want(s, s.Spec.Sink.Ref)
		want(s, s.Spec.Delivery.DeadLetterSink.Ref)
		errs = append(errs, checkServers(m, s, s.Spec.BootstrapServers)...)
	}
	for _, s := range all[*KafkaSink](m) {
		errs = append(errs, checkServers(m, s, []string{s.Spec.BootstrapServers})...)
	}
	return append(errs, checkReach(m)...)
}

// checkServers finds another Kafka than that of the processes.
func checkServers(m manifests, of metav1.Object, servers []string) []error {
	configMap, _ := find[*corev1.ConfigMap](m, "millrace")
	if configMap == nil || configMap.Data["KAFKA_BROKERS"] == strings.Join(servers, ",") {
		return nil
	}
	return []error{fmt.Errorf("%s: its Kafka is %s, the processes' %s", title(of), servers, configMap.Data["KAFKA_BROKERS"])}
}

// exists reports whether the manifests have an object.
func exists(m manifests, version, kind, name string) bool {
	for _, object := range m {
		if object.GetName() != name {
			continue
		}
		if v, k := kindOf(object); v == version && k == kind {
			return true
		}
	}
	return false
}

// checkReach finds Services that the world can call and should not: only one
// asks everybody for a token.
func checkReach(m manifests) (errs []error) {
	for _, s := range all[*servingv1.Service](m) {
		inside := s.Labels["networking.knative.dev/visibility"] == serving.VisibilityClusterLocal
		if !inside && s.Name != "http" {
			errs = append(errs, fmt.Errorf("Service %s is open to the world", s.Name))
		}
	}
	return errs
}
