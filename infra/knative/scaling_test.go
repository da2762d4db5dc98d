package knative

import (
	"errors"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/millrace/millrace/infra/topics"
)

// scaled is what a ScaledObject says of a Deployment.
type scaled struct {
	least, most int
	asks        []map[string]string // Kafka, by trigger
}

func scaledObject(m manifests, deployment string) (scaled, bool) {
	for _, u := range custom(m, "ScaledObject") {
		if name, _, _ := unstructured.NestedString(u.Object, "spec", "scaleTargetRef", "name"); name == deployment {
			return read(u), true
		}
	}
	return scaled{}, false
}

func read(u *unstructured.Unstructured) (s scaled) {
	least, _, _ := unstructured.NestedInt64(u.Object, "spec", "minReplicaCount")
	most, _, _ := unstructured.NestedInt64(u.Object, "spec", "maxReplicaCount")
	s.least, s.most = int(least), int(most)
	triggers, _, _ := unstructured.NestedSlice(u.Object, "spec", "triggers")
	for _, trigger := range triggers {
		fields, _ := trigger.(map[string]any)
		asks, _, _ := unstructured.NestedStringMap(fields, "metadata")
		s.asks = append(s.asks, asks)
	}
	return s
}

// checkScaling holds each ScaledObject to the trigger that it scales: the same
// topic, group and Kafka, and no more pods than there are partitions.
func checkScaling(m manifests) (errs []error) {
	for _, u := range custom(m, "ScaledObject") {
		fault := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("ScaledObject %s: "+format, append([]any{u.GetName()}, args...)...))
		}
		name, _, _ := unstructured.NestedString(u.Object, "spec", "scaleTargetRef", "name")
		deployment, ok := find[*appsv1.Deployment](m, name)
		if !ok {
			fault("there is no Deployment %s", name)
			continue
		}
		if deployment.Spec.Replicas != nil {
			fault("an apply would set back the replicas of %s", name)
		}
		s := read(u)
		if s.most > topics.Partitions || s.most < 1 || s.least != 0 {
			fault("%d to %d pods, want 0 to %d partitions at most", s.least, s.most, topics.Partitions)
		}
		if err := asksRightly(m, name, s.asks); err != nil {
			fault("%w", err)
		}
	}
	return append(errs, checkAuthentication(m)...)
}

func asksRightly(m manifests, deployment string, asks []map[string]string) error {
	configMap, ok := find[*corev1.ConfigMap](m, "millrace")
	if !ok || len(asks) != 1 {
		return errors.New("it asks nobody, or more than Kafka")
	}
	for _, w := range ways(m) {
		if w.name != describe("Deployment", deployment) {
			continue
		}
		if !slices.Equal(w.topics, []string{asks[0]["topic"]}) || w.group != asks[0]["consumerGroup"] {
			return fmt.Errorf("it asks for group %s at %s, the trigger is %s at %s", asks[0]["consumerGroup"], asks[0]["topic"], w.group, w.topics)
		}
	}
	if asks[0]["bootstrapServers"] != configMap.Data["KAFKA_BROKERS"] {
		return fmt.Errorf("its Kafka is %s, the processes' %s", asks[0]["bootstrapServers"], configMap.Data["KAFKA_BROKERS"])
	}
	if asks[0]["offsetResetPolicy"] != "earliest" {
		return errors.New("it would not see what a new group has before it")
	}
	return nil
}

// checkAuthentication finds keys that the Secret of the processes does not have.
func checkAuthentication(m manifests) (errs []error) {
	for _, u := range custom(m, "TriggerAuthentication") {
		refs, _, _ := unstructured.NestedSlice(u.Object, "spec", "secretTargetRef")
		for _, ref := range refs {
			fields, _ := ref.(map[string]any)
			name, _ := fields["name"].(string)
			key, _ := fields["key"].(string)
			if !documented(name, key) || !variables(parts["kafka-trigger"].config)[key] {
				errs = append(errs, fmt.Errorf("TriggerAuthentication %s: no process reads, or docs/knative.md does not make, %s in Secret %s", u.GetName(), key, name))
			}
		}
	}
	return errs
}
