package test_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Pods of functions and triggers get SIGTERM in the middle of load: nothing is lost.
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
	w.awaitReady(t, "message", 2)
	for range 3 {
		for _, name := range names {
			w.deleteOne(t, serviceLabel+"="+name)
			w.deleteOne(t, "millrace.dev/trigger="+name)
		}
		w.awaitMore(t, load)
	}
	sent := load.stop(t)
	t.Logf("%d events sent", len(sent))
	w.check(t, sent)
}

// Eight requests at a time want several pods, two want one (target 2): the autoscaler
// takes the others away while two clients ask on, each whichever pod it is led to. Not
// one request fails.
func TestAutoscalerTakesPodsUnderLoad(t *testing.T) {
	w := join(t)
	t.Cleanup(func() { w.restore(t) })
	stay, leave := w.callAtOnce(t, "message", 2, 10*time.Millisecond), w.callAtOnce(t, "message", 6, 10*time.Millisecond)
	w.awaitReady(t, "message", 2)
	sent := leave.end(t)
	before := stay.answered.Load()
	await(t, "one pod of message is left, and the others have ended", toZero, func(ctx context.Context) (string, error) {
		pods, err := w.pods(ctx, "message")
		if len(pods) == 1 || stay.refused.Load() != nil {
			return "", err
		}
		return names(pods), err
	})
	stay.hold(t)
	t.Logf("%d requests were answered meanwhile", stay.answered.Load()-before)
	stay.await(t, 50) // of the one that is left
	w.check(t, append(sent, stay.end(t)...))
}

// awaitReady returns when so many pods or more take requests.
func (w *world) awaitReady(t *testing.T, function string, least int) {
	t.Helper()
	await(t, fmt.Sprintf("%d or more pods of %s take requests", least, function), 5*time.Minute, func(ctx context.Context) (string, error) {
		pods, err := w.pods(ctx, function)
		if n := ready(pods); err != nil || n < least {
			return fmt.Sprintf("%d do", n), err
		}
		return "", nil
	})
}

// deleteOne ends a pod that works, as whoever drains a node does.
func (w *world) deleteOne(t *testing.T, selector string) {
	t.Helper()
	pods := w.kube.CoreV1().Pods(namespace)
	await(t, "a pod with "+selector+" is told to go", time.Minute, func(ctx context.Context) (string, error) {
		list, err := pods.List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			return "", err
		}
		for i := range list.Items {
			if ready(list.Items[i:i+1]) == 1 {
				t.Logf("to go: %s", list.Items[i].Name)
				return "", pods.Delete(ctx, list.Items[i].Name, metav1.DeleteOptions{})
			}
		}
		return "none is ready", nil
	})
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
