package knative

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Where the pods are that may call one that asks nobody for a token.
const (
	eventing   = "knative-eventing" // a Broker's data plane
	monitoring = "monitoring"       // Prometheus
)

// checkGuards finds pods that ask nobody for a token and that others than the
// Broker reach.
func checkGuards(m manifests) (errs []error) {
	for _, p := range pods(m) {
		if !p.settings(m).open {
			continue
		}
		for _, what := range p.unguarded(m) {
			errs = append(errs, fmt.Errorf("%s asks nobody for a token, and %s", p.name, what))
		}
	}
	return errs
}

func (p pod) unguarded(m manifests) (faults []string) {
	if p.before > 0 {
		faults = append(faults, "as a Knative Service it is called by Knative's gateway, whoever calls that")
	}
	letIn := map[string]bool{}
	guarded := false
	for _, policy := range all[*networkingv1.NetworkPolicy](m) {
		if !guards(policy, p.labels) {
			continue
		}
		guarded = true
		for _, rule := range policy.Spec.Ingress {
			if !onlyPort(rule.Ports, p.settings(m).port) {
				faults = append(faults, policy.Name+" is not about its port alone")
			}
			if len(rule.From) == 0 {
				faults = append(faults, policy.Name+" lets everybody in")
			}
			for _, peer := range rule.From {
				from := namespaceOf(peer)
				if letIn[from] = true; from != eventing && from != monitoring {
					faults = append(faults, fmt.Sprintf("%s lets in more than some pods of a known namespace: %q", policy.Name, from))
				}
			}
		}
	}
	if !guarded {
		faults = append(faults, "no NetworkPolicy keeps others out")
	} else if !letIn[eventing] {
		faults = append(faults, "no NetworkPolicy lets the Broker in")
	}
	return faults
}

func guards(policy *networkingv1.NetworkPolicy, pod map[string]string) bool {
	selector, err := metav1.LabelSelectorAsSelector(&policy.Spec.PodSelector)
	types := policy.Spec.PolicyTypes
	return err == nil && selector.Matches(labels.Set(pod)) && (len(types) == 0 || slices.Contains(types, networkingv1.PolicyTypeIngress))
}

func onlyPort(ports []networkingv1.NetworkPolicyPort, port int) bool {
	return len(ports) == 1 && ports[0].EndPort == nil && ports[0].Port != nil && *ports[0].Port == intstr.FromInt32(int32(port))
}

// namespaceOf is where the pods are that a peer names; empty if it names no pods
// by their labels, or not one namespace.
func namespaceOf(peer networkingv1.NetworkPolicyPeer) string {
	if peer.IPBlock != nil || peer.NamespaceSelector == nil || peer.PodSelector == nil || len(peer.PodSelector.MatchLabels) == 0 {
		return ""
	}
	return peer.NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"]
}

// checkServices holds each Service to the pods behind it, and to the cluster.
func checkServices(m manifests) (errs []error) {
	for _, s := range all[*corev1.Service](m) {
		if s.Spec.Type != corev1.ServiceTypeClusterIP {
			errs = append(errs, fmt.Errorf("%s is open to the world", title(s)))
		}
		found := 0
		for _, p := range pods(m) {
			if p.before > 0 || len(s.Spec.Selector) == 0 || !labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(p.labels)) {
				continue
			}
			found++
			for _, port := range s.Spec.Ports {
				if !p.listens(m, port.TargetPort) {
					errs = append(errs, fmt.Errorf("%s: %s does not listen on port %s", title(s), p.name, port.TargetPort.String()))
				}
			}
		}
		if found != 1 || len(s.Spec.Ports) == 0 {
			errs = append(errs, fmt.Errorf("%s selects the pods of %d Deployments, at %d ports", title(s), found, len(s.Spec.Ports)))
		}
	}
	return errs
}

func (p pod) listens(m manifests, port intstr.IntOrString) bool {
	for _, has := range p.container().Ports {
		if port.StrVal == has.Name || port.IntVal == has.ContainerPort {
			return int(has.ContainerPort) == p.settings(m).port
		}
	}
	return false
}
