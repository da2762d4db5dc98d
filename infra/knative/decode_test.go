package knative

import (
	"errors"
	"fmt"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	strimzi "github.com/scholzj/strimzi-go/pkg/apis/kafka.strimzi.io/v1beta2"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	eventingv1 "knative.dev/eventing/pkg/apis/eventing/v1"
	sourcesv1 "knative.dev/eventing/pkg/apis/sources/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// manifests are the objects of an overlay.
type manifests []metav1.Object

// decode reads the objects strictly: a field that its type does not have is an
// error, as is a kind that is not known here.
func decode(text string) (manifests, error) {
	var m manifests
	var errs []error
	for document := range strings.SplitSeq(text, "\n---\n") {
		object, err := decodeOne([]byte(document))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		m = append(m, object)
	}
	return m, errors.Join(errs...)
}

func decodeOne(document []byte) (metav1.Object, error) {
	text, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return nil, err
	}
	var head metav1.PartialObjectMetadata
	if err := json.UnmarshalCaseSensitivePreserveInts(text, &head); err != nil {
		return nil, err
	}
	object := newObject(head.APIVersion + " " + head.Kind)
	if object == nil {
		return nil, fmt.Errorf("%s: no type is known for it", describe(head.Kind, head.Name))
	}
	wrong, err := json.UnmarshalStrict(text, object)
	if u, ok := object.(*unstructured.Unstructured); ok {
		err = errors.Join(err, checkSchema(u))
	}
	if err := errors.Join(append(wrong, err)...); err != nil {
		return nil, fmt.Errorf("%s: %w", describe(head.Kind, head.Name), err)
	}
	return object, nil
}

func newObject(kind string) metav1.Object {
	switch kind {
	case "v1 Namespace":
		return &corev1.Namespace{}
	case "v1 ConfigMap":
		return &corev1.ConfigMap{}
	case "v1 Secret":
		return &corev1.Secret{}
	case "v1 Service":
		return &corev1.Service{}
	case "networking.k8s.io/v1 NetworkPolicy":
		return &networkingv1.NetworkPolicy{}
	case "apps/v1 Deployment":
		return &appsv1.Deployment{}
	case "batch/v1 CronJob":
		return &batchv1.CronJob{}
	case "serving.knative.dev/v1 Service":
		return &servingv1.Service{}
	case "eventing.knative.dev/v1 Broker":
		return &eventingv1.Broker{}
	case "eventing.knative.dev/v1 Trigger":
		return &eventingv1.Trigger{}
	case "sources.knative.dev/v1 SinkBinding":
		return &sourcesv1.SinkBinding{}
	case "sources.knative.dev/v1 PingSource":
		return &sourcesv1.PingSource{}
	case "v1 ServiceAccount":
		return &corev1.ServiceAccount{}
	case "v1 ResourceQuota":
		return &corev1.ResourceQuota{}
	case "v1 LimitRange":
		return &corev1.LimitRange{}
	case "scheduling.k8s.io/v1 PriorityClass":
		return &schedulingv1.PriorityClass{}
	case "policy/v1 PodDisruptionBudget":
		return &policyv1.PodDisruptionBudget{}
	case "batch/v1 Job":
		return &batchv1.Job{}
	case "apps/v1 StatefulSet":
		return &appsv1.StatefulSet{}
	case "monitoring.coreos.com/v1 PodMonitor":
		return &monitoringv1.PodMonitor{}
	case "monitoring.coreos.com/v1 PrometheusRule":
		return &monitoringv1.PrometheusRule{}
	case "sources.knative.dev/v1 KafkaSource":
		return &KafkaSource{}
	case "eventing.knative.dev/v1alpha1 KafkaSink":
		return &KafkaSink{}
	// Strimzi's types are those of 0.47, where this version was called v1beta2; what
	// is used here is the same in both.
	case "kafka.strimzi.io/v1 Kafka":
		return &strimzi.Kafka{}
	case "kafka.strimzi.io/v1 KafkaNodePool":
		return &strimzi.KafkaNodePool{}
	case "kafka.strimzi.io/v1 KafkaTopic":
		return &strimzi.KafkaTopic{}
	case "kafka.strimzi.io/v1 KafkaUser":
		return &strimzi.KafkaUser{}
	case "barmancloud.cnpg.io/v1 ObjectStore":
		return &ObjectStore{}
	}
	if _, ok := schemas()[kind]; ok {
		return &unstructured.Unstructured{}
	}
	return nil
}

func describe(kind, name string) string { return kind + " " + name }

// title is an object's kind and name, for people.
func title(object metav1.Object) string {
	_, kind := kindOf(object)
	return describe(kind, object.GetName())
}

func kindOf(object metav1.Object) (version, kind string) {
	typed, _ := object.(interface{ GetObjectKind() schema.ObjectKind })
	return typed.GetObjectKind().GroupVersionKind().ToAPIVersionAndKind()
}

// custom returns the resources of a kind whose schema is in testdata.
func custom(m manifests, kind string) (of []*unstructured.Unstructured) {
	for _, u := range all[*unstructured.Unstructured](m) {
		if u.GetKind() == kind {
			of = append(of, u)
		}
	}
	return of
}

// all returns the objects of one type.
func all[T metav1.Object](m manifests) (of []T) {
	for _, object := range m {
		if o, ok := object.(T); ok {
			of = append(of, o)
		}
	}
	return of
}

// find returns the object of a type and name.
func find[T metav1.Object](m manifests, name string) (object T, ok bool) {
	for _, o := range all[T](m) {
		if o.GetName() == name {
			return o, true
		}
	}
	return object, false
}
