package knative

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
	"knative.dev/serving/pkg/networking"
)

// checkPolicies finds policies that are about no pod, and ways that they shut and a
// process needs.
func checkPolicies(m manifests) (errs []error) {
	for _, policy := range all[*networkingv1.NetworkPolicy](m) {
		selector, err := metav1.LabelSelectorAsSelector(&policy.Spec.PodSelector)
		found := err == nil && selector.Empty()
		for _, p := range append(storePods(m), podLabels(m)...) {
			found = found || err == nil && selector.Matches(labels.Set(p.labels))
		}
		if !found {
			errs = append(errs, fmt.Errorf("%s is about no pod", title(policy)))
		}
	}
	for _, p := range pods(m) {
		for what, port := range p.calls(m) {
			if shut := p.shut(m, networkingv1.PolicyTypeEgress, port); shut {
				errs = append(errs, fmt.Errorf("%s cannot reach %s at port %d", p.name, what, port))
			}
		}
		if p.before > 0 && p.shut(m, networkingv1.PolicyTypeIngress, networking.BackendHTTPPort) {
			errs = append(errs, fmt.Errorf("%s cannot be called by Knative", p.name))
		}
	}
	return errs
}

func podLabels(m manifests) (of []budgeted) {
	for _, p := range pods(m) {
		of = append(of, budgeted{name: p.name, labels: p.labels})
	}
	return of
}

// calls are the ports that a process connects to, as its environment says.
func (p pod) calls(m manifests) map[string]int {
	ports := map[string]int{}
	environment, _ := p.environment(m)
	for name, otherwise := range map[string]string{"DATABASE_URL": "5432", "REDIS_URL": "6379", "KAFKA_BROKERS": "9092", "K_SINK": "80"} {
		value := environment[name]
		if value == "" {
			continue
		}
		host, _, _ := strings.Cut(value, ",")
		if u, err := url.Parse(value); err == nil && u.Host != "" {
			host = u.Host
		}
		if _, port, err := net.SplitHostPort(host); err == nil {
			otherwise = port
		}
		ports[name] = number(otherwise, 0)
	}
	return ports
}

// shut reports whether there are policies for a pod, and none opens a port.
func (p pod) shut(m manifests, direction networkingv1.PolicyType, port int) bool {
	about := false
	for _, policy := range all[*networkingv1.NetworkPolicy](m) {
		selector, err := metav1.LabelSelectorAsSelector(&policy.Spec.PodSelector)
		if err != nil || !selector.Matches(labels.Set(p.labels)) || !slices.Contains(policy.Spec.PolicyTypes, direction) {
			continue
		}
		about = true
		for _, rule := range policy.Spec.Ingress {
			if opens(rule.Ports, port) {
				return false
			}
		}
		for _, rule := range policy.Spec.Egress {
			if opens(rule.Ports, port) {
				return false
			}
		}
	}
	return about
}

// opens takes a rule without ports for one that is about all of them.
func opens(ports []networkingv1.NetworkPolicyPort, port int) bool {
	for _, p := range ports {
		if p.Port == nil || p.Port.IntValue() == port || p.EndPort != nil && p.Port.IntValue() <= port && port <= int(*p.EndPort) {
			return true
		}
	}
	return len(ports) == 0
}

// checkMonitors holds what Prometheus asks to the pods that have something to say.
func checkMonitors(m manifests) (errs []error) {
	for _, monitor := range all[*monitoringv1.PodMonitor](m) {
		selector, err := metav1.LabelSelectorAsSelector(&monitor.Spec.Selector)
		for _, p := range pods(m) {
			if p.ends {
				continue
			}
			asked := 0
			for _, endpoint := range monitor.Spec.PodMetricsEndpoints {
				if endpoint.Port != nil && slices.Contains(p.portNames(), *endpoint.Port) {
					asked++
				}
			}
			if err != nil || !selector.Matches(labels.Set(p.labels)) || asked != 1 {
				errs = append(errs, fmt.Errorf("%s asks %s for its metrics at %d ports", title(monitor), p.name, asked))
			}
		}
	}
	return errs
}

// portNames are those in the pod: Knative gives the process's its own name.
func (p pod) portNames() (names []string) {
	for _, port := range p.container().Ports {
		if names = append(names, port.Name); p.before > 0 {
			names = []string{servingv1.UserPortName}
		}
	}
	return names
}
