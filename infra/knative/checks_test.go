package knative

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"knative.dev/eventing/pkg/apis/config"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
)

// check runs every check on one overlay.
func check(text string) error {
	m, err := decode(text)
	if err != nil {
		return err
	}
	// What Knative refuses may lack what the other checks ask for.
	if errs := checkKnative(m); len(errs) > 0 {
		return errors.Join(errs...)
	}
	var errs []error
	for _, c := range []func(manifests) []error{
		checkSelectors, checkNamespace, checkReferences, checkFamilies, checkServices, checkGuards,
		checkSettings, checkTimes, checkPods, checkConnections, checkQuota, checkBudgets, checkScaling,
		checkPolicies, checkMonitors,
	} {
		errs = append(errs, c(m)...)
	}
	return errors.Join(errs...)
}

// knativeObject is what Knative's webhook asks of each of its kinds.
type knativeObject interface {
	metav1.Object
	apis.Defaultable
	apis.Validatable
}

// checkKnative does what Knative's webhook does when an object is created, with
// the configuration that Knative has if nobody changed it.
func checkKnative(m manifests) (errs []error) {
	ctx := config.ToContext(apis.WithinCreate(context.Background()), &config.Config{Defaults: brokers})
	for _, object := range m {
		if o, ok := object.(knativeObject); ok {
			o.SetDefaults(ctx)
			if err := o.Validate(ctx); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", title(o), err))
			}
		}
	}
	return errs
}

// brokers is what config-br-defaults says as Knative ships it.
var brokers = &config.Defaults{ClusterDefaultConfig: &config.DefaultConfig{
	DefaultBrokerClass: "MTChannelBasedBroker",
	BrokerConfig: &config.BrokerConfig{KReference: &duckv1.KReference{
		APIVersion: "v1", Kind: "ConfigMap", Namespace: "knative-eventing", Name: "config-br-default-channel",
	}},
}}

// checkSelectors does what the API server would refuse otherwise.
func checkSelectors(m manifests) (errs []error) {
	for _, d := range all[*appsv1.Deployment](m) {
		selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
		if err != nil || selector.Empty() || !selector.Matches(labels.Set(d.Spec.Template.Labels)) {
			errs = append(errs, fmt.Errorf("%s: its selector does not select its pods", title(d)))
		}
	}
	return errs
}

func checkNamespace(m manifests) (errs []error) {
	spaces := all[*corev1.Namespace](m)
	if len(spaces) != 1 {
		return []error{fmt.Errorf("there are %d Namespaces, want one", len(spaces))}
	}
	for _, object := range m {
		switch object.(type) {
		case *corev1.Namespace, *schedulingv1.PriorityClass: // which are the cluster's
		default:
			if object.GetNamespace() != spaces[0].Name {
				errs = append(errs, fmt.Errorf("%s is in namespace %q", title(object), object.GetNamespace()))
			}
		}
	}
	return errs
}

// checkTimes holds the times that a process has to the times that it needs.
func checkTimes(m manifests) (errs []error) {
	functions := time.Duration(0)
	for _, p := range pods(m) {
		if p.part == "function" {
			functions = max(functions, p.settings(m).request)
		}
	}
	for _, p := range pods(m) {
		s := p.settings(m)
		if need := p.before + s.drain; p.grace <= need {
			errs = append(errs, fmt.Errorf("%s: a grace period of %v, but draining takes %v", p.name, p.grace, need))
		}
		switch {
		case (p.part == "kafka-trigger" || p.part == "http") && s.request <= functions:
			errs = append(errs, fmt.Errorf("%s: gives up after %v, but a function may take %v to answer", p.name, s.request, functions))
		case p.before > 0 && p.grace <= s.request: // timeoutSeconds is both
			errs = append(errs, fmt.Errorf("%s: timeoutSeconds are %v, but a request may take %v", p.name, p.grace, s.request))
		}
	}
	return errs
}

// checkConnections holds what all processes may open to what PostgreSQL gives.
// In a rollout two revisions of each are there.
func checkConnections(m manifests) []error {
	sum := 0
	for _, p := range pods(m) {
		if n := p.settings(m).connections; n > 0 {
			sum = min(sum+2*p.most*n, 1<<30)
		}
	}
	configMap, ok := find[*corev1.ConfigMap](m, "millrace")
	if !ok {
		return []error{errors.New("there is no ConfigMap millrace")}
	}
	if has := number(configMap.Data["database-connections"], 0); sum > has {
		return []error{fmt.Errorf("all processes may open %d connections, PostgreSQL gives %d", sum, has)}
	}
	return nil
}
