package knative

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	eventingduckv1 "knative.dev/eventing/pkg/apis/duck/v1"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
)

// KafkaSource and KafkaSink stand for the types of eventing-kafka-broker, which
// is no module that can be had here. The fields are those of its
// control-plane/pkg/apis/sources/v1/kafka_types.go and
// control-plane/pkg/apis/eventing/v1alpha1/kafka_sink_types.go that the
// manifests use; one that it has and these lack (net, auth) is refused as if it
// were unknown. What its webhook does is written down below from
// kafka_validation.go; its defaults are not, as the manifests set them all.
type KafkaSource struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec KafkaSourceSpec `json:"spec"`
}

// KafkaSourceSpec is what a KafkaSource reads, from where, and how.
type KafkaSourceSpec struct {
	duckv1.SourceSpec `json:",inline"`

	Consumers        *int32                       `json:"consumers"`
	BootstrapServers []string                     `json:"bootstrapServers"`
	Topics           []string                     `json:"topics"`
	ConsumerGroup    string                       `json:"consumerGroup"`
	InitialOffset    string                       `json:"initialOffset"`
	Ordering         string                       `json:"ordering"`
	Delivery         *eventingduckv1.DeliverySpec `json:"delivery"`
}

// SetDefaults sets nothing: everything must be said.
func (*KafkaSource) SetDefaults(context.Context) {}

// Validate is stricter than the original's: it wants what orders and loses
// least.
func (s *KafkaSource) Validate(ctx context.Context) *apis.FieldError {
	errs := s.Spec.SourceSpec.Validate(ctx).Also(s.Spec.Delivery.Validate(ctx).ViaField("delivery"))
	for field, missing := range map[string]bool{
		"topics": len(s.Spec.Topics) == 0, "bootstrapServers": len(s.Spec.BootstrapServers) == 0,
		"consumerGroup": s.Spec.ConsumerGroup == "", "consumers": s.Spec.Consumers == nil,
		"delivery.deadLetterSink": s.Spec.Delivery == nil || s.Spec.Delivery.DeadLetterSink == nil,
	} {
		if missing {
			errs = errs.Also(apis.ErrMissingField(field))
		}
	}
	if s.Spec.InitialOffset != "earliest" {
		errs = errs.Also(apis.ErrInvalidValue(s.Spec.InitialOffset, "initialOffset"))
	}
	if s.Spec.Ordering != "ordered" {
		errs = errs.Also(apis.ErrInvalidValue(s.Spec.Ordering, "ordering"))
	}
	return errs.ViaField("spec")
}

// KafkaSink is a topic that events can be sent to.
type KafkaSink struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec struct {
		Topic            string `json:"topic"`
		BootstrapServers string `json:"bootstrapServers"`
		ContentMode      string `json:"contentMode"`
	} `json:"spec"`
}

// SetDefaults sets nothing: everything must be said.
func (*KafkaSink) SetDefaults(context.Context) {}

// Validate wants all fields.
func (s *KafkaSink) Validate(context.Context) (errs *apis.FieldError) {
	for field, value := range map[string]string{"topic": s.Spec.Topic, "bootstrapServers": s.Spec.BootstrapServers} {
		if value == "" {
			errs = errs.Also(apis.ErrMissingField(field))
		}
	}
	if s.Spec.ContentMode != "binary" && s.Spec.ContentMode != "structured" {
		errs = errs.Also(apis.ErrInvalidValue(s.Spec.ContentMode, "contentMode"))
	}
	return errs.ViaField("spec")
}
