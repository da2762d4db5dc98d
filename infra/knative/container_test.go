package knative

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
)

// checkPods holds every pod to what the namespace and the platform ask of it.
func checkPods(m manifests) (errs []error) {
	for _, p := range pods(m) {
		for _, what := range p.faults(m) {
			errs = append(errs, fmt.Errorf("%s: %s", p.name, what))
		}
	}
	return errs
}

func (p pod) faults(m manifests) (faults []string) {
	must := func(ok bool, what string) {
		if !ok {
			faults = append(faults, what)
		}
	}
	c := p.container()
	must(len(p.spec.Containers) == 1, "it wants one container")
	must(equality.Semantic.DeepEqual(c.SecurityContext, narrowest()), "its security context is not the narrowest")
	must(isFalse(p.spec.AutomountServiceAccountToken), "it has a token for Kubernetes")
	account, ok := find[*corev1.ServiceAccount](m, p.spec.ServiceAccountName)
	must(ok && isFalse(account.AutomountServiceAccountToken), "there is no ServiceAccount "+p.spec.ServiceAccountName+" without a token")
	_, ok = find[*schedulingv1.PriorityClass](m, p.spec.PriorityClassName)
	must(ok || p.spec.PriorityClassName == "", "there is no PriorityClass "+p.spec.PriorityClassName)
	must(isFalse(p.spec.EnableServiceLinks), "other services' names are in its environment")
	must(p.ends || asks(c.ReadinessProbe, "/health/readiness"), "readiness is not asked at /health/readiness")
	must(p.ends || asks(c.LivenessProbe, "/health/liveness"), "liveness is not asked at /health/liveness")
	must(p.ends && len(c.Ports) == 0 || len(c.Ports) == 1 && int(c.Ports[0].ContainerPort) == p.settings(m).port, "its port is not the one that it listens on")
	for _, list := range []corev1.ResourceList{c.Resources.Requests, c.Resources.Limits} {
		must(slices.Equal(slices.Sorted(maps.Keys(list)), []corev1.ResourceName{"cpu", "memory"}), "it wants requests and limits of cpu and memory")
	}
	environment, _ := p.environment(m)
	heap, err := resource.ParseQuantity(goQuantity(environment["GOMEMLIMIT"]))
	must(err == nil && heap.Value() < c.Resources.Limits.Memory().Value()*95/100, "GOMEMLIMIT is not below the memory limit")
	return faults
}

// narrowest is what the Pod Security Standard "restricted" asks for, and a
// read-only root besides.
func narrowest() *corev1.SecurityContext {
	yes, no := true, false
	return &corev1.SecurityContext{
		RunAsNonRoot: &yes, ReadOnlyRootFilesystem: &yes, AllowPrivilegeEscalation: &no,
		Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

func isFalse(b *bool) bool { return b != nil && !*b }

func asks(probe *corev1.Probe, path string) bool {
	return probe != nil && probe.HTTPGet != nil && probe.HTTPGet.Path == path
}

// goQuantity writes Go's MiB as Kubernetes' Mi.
func goQuantity(text string) string { return strings.TrimSuffix(text, "B") }
