package test_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Pods of functions and triggers get SIGTERM in the middle of load, and when the load
// falls the autoscaler takes away more of them: nothing is lost.
func TestPodsGoUnderLoad(t *testing.T) {
	names := []string{"message", "trade"}
	w := join(t)
	t.Cleanup(func() { w.restore(t) })
	w.scaleTriggers(t, 3, names...)
	s := newTraffic(t, 0)
	if err := s.Only(names...); err != nil {
		t.Fatal(err)
	}
	s.Rate, s.Sequences = spikeRate(t)/4, true
	load := w.begin(t, s)
	w.awaitReady(t, "message", "two or more", func(n int) bool { return n >= 2 })
	for range 3 {
		for _, name := range names {
			w.deleteOne(t, serviceLabel+"="+name)
			w.deleteOne(t, "millrace.dev/trigger="+name)
		}
		w.awaitMore(t, load)
	}
	load.slower.Store(40)
	w.awaitReady(t, "message", "one", func(n int) bool { return n == 1 })
	sent := load.stop(t)
	t.Logf("%d events sent", len(sent))
	w.check(t, sent)
}

func (w *world) awaitReady(t *testing.T, function, words string, enough func(int) bool) {
	t.Helper()
	await(t, fmt.Sprintf("pods of %s that take requests: %s", function, words), 5*time.Minute, func(ctx context.Context) (string, error) {
		pods, err := w.pods(ctx, function)
		if n := ready(pods); err != nil || !enough(n) {
			return fmt.Sprintf("%d do", n), err
		}
		return "", nil
	})
}

// deleteOne ends a pod as whoever drains a node does.
func (w *world) deleteOne(t *testing.T, selector string) {
	t.Helper()
	pods := w.kube.CoreV1().Pods(namespace)
	list, err := pods.List(t.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range list.Items {
		if pod.DeletionTimestamp == nil {
			err := insist(func() error { return pods.Delete(t.Context(), pod.Name, metav1.DeleteOptions{}) })
			if apierrors.IsNotFound(err) { // it went by itself
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("told to go: %s", pod.Name)
			return
		}
	}
}

// awaitMore returns when the load has gone on for a while.
func (w *world) awaitMore(t *testing.T, l *load) {
	t.Helper()
	until := l.handed.Load() + 2000
	await(t, "2000 more events are sent", 2*time.Minute, func(context.Context) (string, error) {
		if n := l.handed.Load(); n < until {
			return fmt.Sprintf("%d are missing", until-n), nil
		}
		return "", nil
	})
}
