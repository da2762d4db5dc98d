package test_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// start is what one cold start took, part by part.
type start struct{ whole, decide, schedule, container, ours, rest time.Duration }

// Measures how long a request to a function at zero pods takes, and what each part
// of that does. It fails only where a function does not start: how fast a machine is
// decides nothing.
func TestColdStart(t *testing.T) {
	w := join(t)
	rounds, _ := strconv.Atoi(os.Getenv("MILLRACE_TEST_ROUNDS")) // none: one
	var all []start
	for range max(1, rounds) {
		w.awaitZero(t, functions()...)
		for _, name := range functions() {
			one := w.wake(t, name)
			t.Logf("%-12s %s", name, one)
			all = append(all, one)
		}
	}
	for _, part := range []struct {
		name string
		of   func(start) time.Duration
	}{
		{"whole", func(s start) time.Duration { return s.whole }},
		{"until there is a pod", func(s start) time.Duration { return s.decide }},
		{"scheduling", func(s start) time.Duration { return s.schedule }},
		{"sandbox and containers", func(s start) time.Duration { return s.container }},
		{"our process until ready", func(s start) time.Duration { return s.ours }},
		{"probes, activator, answer", func(s start) time.Duration { return s.rest }},
	} {
		t.Logf("%-26s p50 %5d ms   p95 %5d ms   of %d", part.name,
			quantile(all, 0.5, part.of).Milliseconds(), quantile(all, 0.95, part.of).Milliseconds(), len(all))
	}
}

func (s start) String() string {
	return fmt.Sprintf("%d ms = %d until there is a pod + %d scheduling + %d sandbox and containers + %d ours + %d the rest",
		s.whole.Milliseconds(), s.decide.Milliseconds(), s.schedule.Milliseconds(), s.container.Milliseconds(),
		s.ours.Milliseconds(), s.rest.Milliseconds())
}

func quantile(all []start, q float64, of func(start) time.Duration) time.Duration {
	values := make([]time.Duration, len(all))
	for i, s := range all {
		values[i] = of(s)
	}
	slices.Sort(values)
	return values[min(len(values)-1, int(q*float64(len(values))))]
}

// wake asks a function at zero pods something, and finds out what took how long.
// Clocks of the cluster's nodes must be that of this machine.
func (w *world) wake(t *testing.T, function string) start {
	t.Helper()
	watching, err := w.kube.CoreV1().Pods(namespace).Watch(t.Context(), metav1.ListOptions{LabelSelector: serviceLabel + "=" + function})
	if err != nil {
		t.Fatal(err)
	}
	defer watching.Stop()
	url := "http://" + function + "." + namespace + ".svc.cluster.local/health/readiness"
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan sight, 1)
	go func() { seen <- follow(watching) }()
	began := time.Now()
	if status, body := w.do(t, request); status != http.StatusOK {
		t.Fatalf("%s answers %d: %s", url, status, body)
	}
	answered := time.Now()
	pod := <-seen
	ready, took := w.log(t, pod.name)
	return start{
		whole: answered.Sub(began), decide: pod.made.Sub(began), schedule: pod.scheduled.Sub(pod.made),
		container: ready.Add(-took).Sub(pod.scheduled), ours: took, rest: answered.Sub(ready),
	}
}

// sight is when a watch told of a pod, and of its node.
type sight struct {
	name            string
	made, scheduled time.Time
}

func follow(watching watch.Interface) (s sight) {
	for event := range watching.ResultChan() {
		p, ok := event.Object.(*corev1.Pod)
		if !ok || event.Type == watch.Deleted {
			continue
		}
		if s.made.IsZero() {
			s.name, s.made = p.Name, time.Now()
		}
		if p.Name == s.name && condition(p, corev1.PodScheduled) {
			s.scheduled = time.Now()
			return s
		}
	}
	return s
}

// log reads when the function's process was ready, and how long it took to that.
func (w *world) log(t *testing.T, pod string) (ready time.Time, took time.Duration) {
	t.Helper()
	await(t, "the log of "+pod, time.Minute, func(ctx context.Context) (string, error) {
		stream, err := w.kube.CoreV1().Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{Container: "function"}).Stream(ctx)
		if err != nil {
			return "", err
		}
		defer func() { _ = stream.Close() }()
		for lines := bufio.NewScanner(stream); lines.Scan(); {
			var line struct {
				Time      time.Time
				Msg, Took string
			}
			if err := json.Unmarshal(lines.Bytes(), &line); err == nil && line.Msg == "ready" {
				ready = line.Time
				took, err = time.ParseDuration(strings.TrimSpace(line.Took))
				return "", err
			}
		}
		return "it does not say that it is ready", nil
	})
	return ready, took
}
