package test_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/infra/traffic"
)

// mood is a Secret that decides whether pods of a function start.
const mood = "test-mood"

// A function whose pods end as soon as they start: its events wait in Kafka, those
// of the others do not, and all have their effects in order when it is back.
func TestDeadFunction(t *testing.T) {
	w := join(t)
	t.Cleanup(func() { w.restore(t) })
	w.killFunction(t, "trade")
	sent := recordsOf(t, ofAll(t, 300))
	mine := byFamily(t, sent)["trade"]
	w.send(t, sent)
	await(t, "the others' events are decided", 3*time.Minute, func(ctx context.Context) (string, error) {
		left, err := w.undecided(ctx, sent)
		if extra := len(left) - len(mine); extra > 0 || err != nil {
			return fmt.Sprintf("%d are not", extra), err
		}
		return "", nil
	})
	w.awaitCrashes(t, "trade", 2)
	left, err := w.undecided(t.Context(), sent)
	if err != nil || len(left) != len(mine) {
		t.Fatalf("%d events are not decided, %v; the dead function has %d", len(left), err, len(mine))
	}
	w.holdWaiting(t, "trade")
	t.Logf("%d events of the dead function wait in Kafka", len(left))
	w.setMood(t, "20s")
	w.awaitDecided(t, 3*time.Minute, sent)
	w.check(t, sent)
	w.checkOrder(t, sent)
}

// killFunction gives a function a setting from a Secret, and then makes it one
// that no process starts with.
func (w *world) killFunction(t *testing.T, name string) {
	t.Helper()
	w.setMood(t, "20s")
	w.change(t, name, func(spec map[string]any) {
		setContainer(spec, map[string]any{"env": map[string]any{
			"name":      "REQUEST_TIMEOUT",
			"valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": mood, "key": "value"}},
		}})
	})
	revision := w.awaitService(t, name)
	w.setMood(t, "never")
	w.endPods(t, name)
	t.Logf("no process of %s starts any more", revision)
}

func (w *world) setMood(t *testing.T, value string) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: mood}, StringData: map[string]string{"value": value}}
	secrets := w.kube.CoreV1().Secrets(namespace)
	err := insist(func() error {
		_, err := secrets.Update(t.Context(), secret, metav1.UpdateOptions{})
		if apierrors.IsNotFound(err) {
			_, err = secrets.Create(t.Context(), secret, metav1.CreateOptions{})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// endPods kills the pods of a function: SIGKILL comes a second after SIGTERM. It
// returns when their processes have ended.
func (w *world) endPods(t *testing.T, function string) {
	t.Helper()
	pods, err := w.pods(t.Context(), function)
	if err != nil {
		t.Fatal(err)
	}
	second := int64(1)
	gone := map[string]bool{}
	for i := range pods {
		err := insist(func() error {
			return w.kube.CoreV1().Pods(namespace).Delete(t.Context(), pods[i].Name, metav1.DeleteOptions{GracePeriodSeconds: &second})
		})
		if err != nil {
			t.Logf("%s: %v", pods[i].Name, err) // it went by itself
		}
		gone[pods[i].Name] = true
	}
	await(t, "these are killed: "+names(pods), time.Minute, func(ctx context.Context) (string, error) {
		pods, err := w.pods(ctx, function)
		for i := range pods {
			if gone[pods[i].Name] {
				return pods[i].Name + " is there", err
			}
		}
		return "", err
	})
}

// send puts records into Kafka.
func (w *world) send(t *testing.T, all []traffic.Record) {
	t.Helper()
	producer := w.producer(t)
	for _, r := range all {
		if err := producer.Send(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if err := producer.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d events are in Kafka", len(all))
}

func (w *world) awaitCrashes(t *testing.T, function string, least int32) {
	t.Helper()
	await(t, fmt.Sprintf("a pod of %s was started in vain %d times", function, least), 3*time.Minute, func(ctx context.Context) (string, error) {
		pods, err := w.pods(ctx, function)
		for i := range pods {
			if own(&pods[i]).RestartCount >= least {
				return "", err
			}
		}
		return "none was", err
	})
}

// own is the state of the function's own container.
func own(pod *corev1.Pod) corev1.ContainerStatus {
	for _, c := range pod.Status.ContainerStatuses {
		if c.Name == "function" {
			return c
		}
	}
	return corev1.ContainerStatus{}
}

// holdWaiting holds that a function's topic has records that its group has not taken.
func (w *world) holdWaiting(t *testing.T, function string) {
	t.Helper()
	_, left := w.extents(t, function)
	if left == 0 {
		t.Errorf("nothing waits in %s", topics.Events(function))
	}
}
