package test_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const serviceLabel = "serving.knative.dev/service"

// toZero is how long pods may take to go: the autoscaler's window, its grace
// period, and that of a pod (90 s).
const toZero = 5 * time.Minute

// awaitZero returns when no pod of these Knative Services is there, not even one
// that is about to end.
func (w *world) awaitZero(t *testing.T, services ...string) {
	t.Helper()
	await(t, "no pod of "+strings.Join(services, ", "), toZero, func(ctx context.Context) (string, error) {
		pods, err := w.pods(ctx, services...)
		return names(pods), err
	})
}

// pods are those of Knative Services, whatever state they are in.
func (w *world) pods(ctx context.Context, services ...string) ([]corev1.Pod, error) {
	list, err := w.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{
		LabelSelector: fmt.Sprintf("%s in (%s)", serviceLabel, strings.Join(services, ",")),
	})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// ready counts pods that take requests.
func ready(pods []corev1.Pod) int {
	n := 0
	for i := range pods {
		if pods[i].DeletionTimestamp == nil && condition(&pods[i], corev1.PodReady) {
			n++
		}
	}
	return n
}

func condition(pod *corev1.Pod, kind corev1.PodConditionType) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == kind && c.Status == corev1.ConditionTrue
	})
}

func names(pods []corev1.Pod) string {
	all := make([]string, len(pods))
	for i := range pods {
		all[i] = pods[i].Name
	}
	return strings.Join(all, ", ")
}

// lives tells pods and their containers apart from those that came in their place.
func lives(pods []corev1.Pod) string {
	var all []string
	for i := range pods {
		for _, c := range pods[i].Status.ContainerStatuses {
			all = append(all, fmt.Sprintf("%s/%s/%d", pods[i].Name, c.Name, c.RestartCount))
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}
