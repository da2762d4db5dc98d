package test_test

import (
	"bufio"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// sight is when the cluster told of a new pod: what it writes down itself it rounds
// to seconds.
type sight struct {
	pod                             string
	made, scheduled, sandbox, known time.Time
}

// watch tells of the next pod of a function, when its address is known.
func (w *world) watch(t *testing.T, function string) <-chan sight {
	t.Helper()
	ofPods := metav1.ListOptions{LabelSelector: serviceLabel + "=" + function}
	// The kubelet looks for the image once there is a sandbox.
	ofEvents := metav1.ListOptions{FieldSelector: "involvedObject.kind=Pod,reason=Pulled"}
	now, err := w.kube.CoreV1().Pods(namespace).List(t.Context(), ofPods)
	if err != nil {
		t.Fatal(err)
	}
	ofPods.ResourceVersion, ofEvents.ResourceVersion = now.ResourceVersion, now.ResourceVersion
	pods, err := w.kube.CoreV1().Pods(namespace).Watch(t.Context(), ofPods)
	if err != nil {
		t.Fatal(err)
	}
	events, err := w.kube.CoreV1().Events(namespace).Watch(t.Context(), ofEvents)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pods.Stop(); events.Stop() })
	seen := make(chan sight, 1)
	go func() {
		defer close(seen)
		var s sight
		for s.sandbox.IsZero() || s.known.IsZero() {
			select {
			case e, open := <-pods.ResultChan():
				s.onPod(e)
				if !open {
					return
				}
			case e, open := <-events.ResultChan():
				s.onEvent(e)
				if !open {
					return
				}
			}
		}
		seen <- s
	}()
	return seen
}

func (s *sight) onPod(e watch.Event) {
	p, ok := e.Object.(*corev1.Pod)
	if !ok || s.pod != "" && p.Name != s.pod {
		return
	}
	if s.pod == "" {
		s.pod, s.made = p.Name, time.Now()
	}
	if s.scheduled.IsZero() && condition(p, corev1.PodScheduled) {
		s.scheduled = time.Now()
	}
	if s.known.IsZero() && p.Status.PodIP != "" {
		s.known = time.Now()
	}
}

func (s *sight) onEvent(e watch.Event) {
	told, ok := e.Object.(*corev1.Event)
	if ok && s.pod != "" && told.InvolvedObject.Name == s.pod && told.InvolvedObject.FieldPath == "spec.containers{function}" {
		s.sandbox = time.Now()
	}
}

// line is one that a container has logged, and when.
type line struct {
	at   time.Time
	text string
}

func (w *world) firstLine(t *testing.T, pod, container string) (first line) {
	t.Helper()
	await(t, "the log of "+container+" in "+pod, time.Minute, func(ctx context.Context) (string, error) {
		stream, err := w.kube.CoreV1().Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{Container: container, Timestamps: true}).Stream(ctx)
		if err != nil {
			return "", err
		}
		defer func() { _ = stream.Close() }()
		text, err := bufio.NewReader(stream).ReadString('\n')
		if err != nil {
			return "", err
		}
		at, text, _ := strings.Cut(text, " ")
		first.text = text
		first.at, err = time.Parse(time.RFC3339Nano, at)
		return "", err
	})
	return first
}

// ownStart is when the function's process began, and when it listened.
func (w *world) ownStart(t *testing.T, pod string) (born, listens time.Time) {
	t.Helper()
	first := w.firstLine(t, pod, "function").text
	var ready struct {
		Time time.Time `json:"time"`
		Msg  string    `json:"msg"`
		Took string    `json:"took"`
	}
	if err := json.Unmarshal([]byte(first), &ready); err != nil || ready.Msg != "ready" {
		t.Fatalf("the first line of %s does not tell that it is ready: %s", pod, first)
	}
	took, err := time.ParseDuration(ready.Took)
	if err != nil {
		t.Fatal(err)
	}
	return ready.Time.Add(-took), ready.Time
}
