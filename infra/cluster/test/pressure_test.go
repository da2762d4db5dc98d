package test_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/millrace/millrace/infra/skiptest"
)

// pressure labels what fills the nodes.
const pressure = "millrace.dev/test-pressure"

const subscriber = "millrace.dev/service=http-subscriber"

// The nodes are full of pods of the functions' priority when both pods of the way in
// have to find a new place: they take it from others. What the Broker has to bring
// meanwhile is in Kafka then, and is decided, at the latest when functions have a
// place again too.
func TestWayInHasPlaceUnderPressure(t *testing.T) {
	w := join(t)
	t.Cleanup(func() { w.restore(t) })
	url, ends, sent := w.brokerURL(t, "millrace"), w.ends(t), w.trades(t, 20)
	had := w.fillNodes(t)
	old := w.podsWith(t, subscriber)
	for name := range old {
		err := insist(func() error { return w.kube.CoreV1().Pods(namespace).Delete(t.Context(), name, metav1.DeleteOptions{}) })
		if err != nil {
			t.Fatal(err)
		}
	}
	taken := w.offerAll(t, url, events(sent))
	w.awaitOthers(t, old)
	taken.Wait()
	w.holdPreempted(t, had)
	came, err := w.since(t.Context(), ends, sent)
	if err != nil || len(came) != len(sent) {
		t.Errorf("%d of %d events are in Kafka, %v", len(came), len(sent), err)
	}
	left, err := w.undecided(t.Context(), sent)
	t.Logf("under pressure %d of them were decided, %v", len(sent)-len(left), err)
	w.relieve(t)
	w.awaitDecided(t, 3*time.Minute, sent)
	w.check(t, sent)
}

// podsWith are the pods with a label that have a place, by name.
func (w *world) podsWith(t *testing.T, selector string) map[string]*corev1.Pod {
	t.Helper()
	list, err := w.kube.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*corev1.Pod{}
	for i := range list.Items {
		if pod := &list.Items[i]; pod.DeletionTimestamp == nil && condition(pod, corev1.PodScheduled) {
			all[pod.Name] = pod
		}
	}
	return all
}

// awaitOthers returns when as many pods of the way in are ready as there were.
func (w *world) awaitOthers(t *testing.T, old map[string]*corev1.Pod) {
	t.Helper()
	await(t, fmt.Sprintf("%d other pods of the way in are ready", len(old)), 3*time.Minute, func(ctx context.Context) (string, error) {
		list, err := w.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: subscriber})
		if err != nil {
			return "", err
		}
		n := 0
		for i := range list.Items {
			if old[list.Items[i].Name] == nil {
				n += ready(list.Items[i : i+1])
			}
		}
		if n < len(old) {
			return fmt.Sprintf("%d are", n), nil
		}
		return "", nil
	})
}

// holdPreempted holds that a placeholder has lost its place: nothing else ends one.
func (w *world) holdPreempted(t *testing.T, had map[string]*corev1.Pod) {
	t.Helper()
	have, lost := w.podsWith(t, pressure), 0
	for name := range had {
		if have[name] == nil {
			lost++
		}
	}
	t.Logf("%d of %d placeholders have lost their place", lost, len(had))
	if lost == 0 {
		t.Error("no placeholder was preempted: the nodes were not full")
	}
}

// fillNodes returns the placeholders that have a place, when no core is left: large
// ones first, so that they are few, then such as a pod of the way in could stand in
// for. Some more wait, and take what becomes free.
func (w *world) fillNodes(t *testing.T) map[string]*corev1.Pod {
	t.Helper()
	nodes, err := w.kube.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cores := int64(0)
	for i := range nodes.Items {
		cores += nodes.Items[i].Status.Allocatable.Cpu().Value()
	}
	if cores > 32 || len(nodes.Items) > 4 {
		skiptest.Loudly(t, fmt.Sprintf("%d nodes with %d cores: the namespace's quota ends before they are full", len(nodes.Items), cores))
	}
	w.fill(t, "2", cores/2+1)
	w.fill(t, "100m", int64(len(nodes.Items))*2000/100+1)
	return w.podsWith(t, pressure)
}

// fill makes more placeholders than there is room for, and returns when that shows.
// They need no image: a pod has its place before it has that. Their memory is what a
// pod's sandbox takes.
func (w *world) fill(t *testing.T, cpu string, replicas int64) {
	t.Helper()
	const memory = "32Mi"
	pod := podOf(1, memory)
	pod.Labels = map[string]string{pressure: cpu}
	pod.Spec.TerminationGracePeriodSeconds = new(int64(1))
	c := &pod.Spec.Containers[0]
	c.ImagePullPolicy = corev1.PullNever
	amounts := corev1.ResourceList{"cpu": resource.MustParse(cpu), "memory": resource.MustParse(memory)}
	c.Resources = corev1.ResourceRequirements{Requests: amounts, Limits: amounts}
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "test-placeholder-" + cpu, Labels: pod.Labels},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(replicas)),
			Selector: &metav1.LabelSelector{MatchLabels: pod.Labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: pod.Labels}, Spec: pod.Spec},
		},
	}
	err := insist(func() error {
		_, err := w.kube.AppsV1().Deployments(namespace).Create(t.Context(), deployment, metav1.CreateOptions{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	await(t, "no node has "+cpu+" of a core left", 2*time.Minute, func(ctx context.Context) (string, error) {
		list, err := w.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: pressure + "=" + cpu})
		if err != nil {
			return "", err
		}
		placed, waiting := 0, 0
		for i := range list.Items {
			switch {
			case condition(&list.Items[i], corev1.PodScheduled):
				placed++
			case unschedulable(&list.Items[i]):
				waiting++
			}
		}
		if waiting == 0 || int64(placed+waiting) < replicas {
			return fmt.Sprintf("of %d placeholders %d have a place, and %d find none", replicas, placed, waiting), nil
		}
		return "", nil
	})
}

func unschedulable(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return c.Reason == corev1.PodReasonUnschedulable
		}
	}
	return false
}

// relieve returns when no placeholder is there.
func (w *world) relieve(t *testing.T) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	all := metav1.ListOptions{LabelSelector: pressure}
	err := insist(func() error {
		return w.kube.AppsV1().Deployments(namespace).DeleteCollection(ctx, metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)}, all)
	})
	if err != nil {
		t.Fatal(err)
	}
	await(t, "no placeholder is there", 2*time.Minute, func(ctx context.Context) (string, error) {
		list, err := w.kube.CoreV1().Pods(namespace).List(ctx, all)
		if err != nil {
			return "", err
		}
		return names(list.Items), nil
	})
}
