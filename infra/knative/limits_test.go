package knative

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// queueProxy is what Knative's proxy asks for beside each of its pods, where
// config-deployment is as it is shipped and a LimitRange says nothing else.
var queueProxy = resource.MustParse("25m")

// checkQuota holds the quota to what the manifests can need, with two revisions of
// everything in a rollout.
func checkQuota(m manifests) []error {
	quota, ok := find[*corev1.ResourceQuota](m, "millrace")
	limits, ok2 := find[*corev1.LimitRange](m, "millrace")
	if !ok || !ok2 {
		return []error{errors.New("there is no ResourceQuota or no LimitRange millrace")}
	}
	var pods_, cpu, memory resource.Quantity
	var errs []error
	otherwise := limits.Spec.Limits[0]
	for _, p := range pods(m) {
		requests := p.container().Resources.Requests
		for range 2 * min(p.most, 1000) {
			pods_.Add(resource.MustParse("1"))
			cpu.Add(*requests.Cpu())
			memory.Add(*requests.Memory())
			if p.before > 0 {
				cpu.Add(queueProxy)
				memory.Add(*otherwise.DefaultRequest.Memory())
			}
		}
		for name, most := range otherwise.Max {
			if has := p.container().Resources.Limits[name]; has.Cmp(most) > 0 {
				errs = append(errs, fmt.Errorf("%s may take more %s than the LimitRange allows", p.name, name))
			}
		}
	}
	for name, need := range map[corev1.ResourceName]resource.Quantity{"pods": pods_, "requests.cpu": cpu, "requests.memory": memory} {
		if has := quota.Spec.Hard[name]; has.Cmp(need) < 0 {
			errs = append(errs, fmt.Errorf("all pods may need %s %s, the quota gives %s", name, need.String(), has.String()))
		}
	}
	return errs
}

// budgeted are pods of which a number may be away.
type budgeted struct {
	name   string
	labels map[string]string
	always int // as many as there are at least
}

// checkBudgets finds budgets that guard nothing, that overlap, which the API server
// takes and evictions fail of, and those that would hold up a drain for good.
func checkBudgets(m manifests) (errs []error) {
	of := storePods(m)
	for _, p := range pods(m) {
		always := 0
		if p.before == 0 && !p.ends {
			always = p.most
		}
		of = append(of, budgeted{p.name, p.labels, always})
	}
	guardedBy := map[string]string{}
	for _, b := range all[*policyv1.PodDisruptionBudget](m) {
		selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
		found := 0
		for _, p := range of {
			if err != nil || !selector.Matches(labels.Set(p.labels)) {
				continue
			}
			found++
			if other := guardedBy[p.name]; other != "" {
				errs = append(errs, fmt.Errorf("%s is guarded by two PodDisruptionBudgets: %s, %s", p.name, other, b.Name))
			}
			guardedBy[p.name] = b.Name
			if least := b.Spec.MinAvailable; least != nil && (least.Type != intstr.Int || least.IntValue() >= p.always) {
				errs = append(errs, fmt.Errorf("%s: of %d pods none may go", title(b), p.always))
			}
		}
		if found == 0 {
			errs = append(errs, fmt.Errorf("%s guards no pods", title(b)))
		}
	}
	return errs
}
