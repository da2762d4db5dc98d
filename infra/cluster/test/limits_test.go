package test_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
)

var dryRun = metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}

// The cluster refuses what is beyond the quota and the limits, and takes what is
// within.
func TestQuotaAndLimitsHold(t *testing.T) {
	w := look(t)
	quota, err := w.kube.CoreV1().ResourceQuotas(namespace).Get(t.Context(), "millrace", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	memory := quota.Spec.Hard[corev1.ResourceRequestsMemory]
	for _, c := range []struct {
		name       string
		containers int
		memory     string
		refusal    string // none: it is taken
	}{
		{"a small pod", 1, "64Mi", ""},
		{"a container larger than the limit", 1, "2Gi", "maximum memory usage per Container is 1Gi"},
		{"a pod larger than all may be", int(memory.Value()>>30) + 1, "1Gi", "exceeded quota: millrace"},
	} {
		_, err := w.kube.CoreV1().Pods(namespace).Create(t.Context(), podOf(c.containers, c.memory), dryRun)
		refused(t, c.name, err, c.refusal)
	}
	balancer := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "test-balancer"}, Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeLoadBalancer, Ports: []corev1.ServicePort{{Port: 80}},
	}}
	_, err = w.kube.CoreV1().Services(namespace).Create(t.Context(), balancer, dryRun)
	refused(t, "a Service that the world reaches", err, "exceeded quota: millrace")
	root := podOf(1, "64Mi")
	root.Spec.SecurityContext = nil
	_, err = w.kube.CoreV1().Pods(namespace).Create(t.Context(), root, dryRun)
	refused(t, "a pod that may run as root", err, "violates PodSecurity")
}

func refused(t *testing.T, what string, err error, why string) {
	t.Helper()
	if (err == nil) != (why == "") || err != nil && !strings.Contains(err.Error(), why) {
		t.Errorf("%s: %v, want %q", what, err, why)
	}
	t.Logf("%s: %v", what, err)
}

// podOf is a pod that the namespace's rules for security allow.
func podOf(containers int, memory string) *corev1.Pod {
	yes, no := true, false
	amounts := corev1.ResourceList{"cpu": resource.MustParse("50m"), "memory": resource.MustParse(memory)}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "test-pod"}, Spec: corev1.PodSpec{
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: &yes, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
	}}
	for n := range containers {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{
			Name: fmt.Sprintf("c%d", n), Image: "dev.local/none",
			Resources: corev1.ResourceRequirements{Requests: amounts, Limits: amounts},
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
		})
	}
	return pod
}

// The priority classes are those of the manifests, and the pods have theirs.
func TestPriorities(t *testing.T) {
	w := look(t)
	values := map[string]int32{"": 0}
	for _, want := range manifestPriorities(t) {
		got, err := w.kube.SchedulingV1().PriorityClasses().Get(t.Context(), want.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		values[want.Name] = want.Value
		if want.PreemptionPolicy == nil {
			want.PreemptionPolicy = new(corev1.PreemptLowerPriority)
		}
		if got.Value != want.Value || !reflect.DeepEqual(got.PreemptionPolicy, want.PreemptionPolicy) {
			t.Errorf("%s has value %d, preemption %s", got.Name, got.Value, *got.PreemptionPolicy)
		}
	}
	list, err := w.kube.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range list.Items {
		value, known := values[pod.Spec.PriorityClassName]
		if !known || pod.Spec.Priority == nil || *pod.Spec.Priority != value {
			t.Errorf("%s: class %q, priority %v", pod.Name, pod.Spec.PriorityClassName, pod.Spec.Priority)
		}
		if strings.HasPrefix(pod.Name, "http-subscriber-") && value != 1000 {
			t.Errorf("%s: priority %d, want that of the way in", pod.Name, value)
		}
	}
	t.Logf("%d pods have the priorities %v", len(list.Items), values)
}

func manifestPriorities(t *testing.T) (all []schedulingv1.PriorityClass) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "knative", "base", "priorities.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		var class schedulingv1.PriorityClass
		if err := documents.Decode(&class); err != nil {
			return all
		}
		all = append(all, class)
	}
}
