package test_test

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/millrace/millrace/infra/traffic"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/fault"
)

// parts of a cold start, in their order. Each begins where the one before it ends.
var parts = []string{
	"activator and autoscaler, until there is a pod", "scheduling", "sandbox and its network",
	"container of the function", "our process, until it listens", "container of queue-proxy",
	"until the kubelet tells the pod's address", "probes, the request, its commit and answer",
}

// coldStart is what one took, part by part, and the whole.
type coldStart []time.Duration

// Measures how long a function at zero pods takes to answer, and what each part of
// that does. It fails only where the function does not start: how fast a machine is
// decides nothing.
func TestColdStart(t *testing.T) {
	const name = "agent" // it wakes no other
	w := join(t)
	t.Cleanup(func() { w.restore(t) })
	w.change(t, name, soonAtZero)
	w.awaitService(t, name)
	var all []coldStart
	var sent []traffic.Record
	s := newTraffic(t, rounds(t))
	if err := s.Only(name); err != nil {
		t.Fatal(err)
	}
	for _, r := range recordsOf(t, s)[:rounds(t)] {
		w.awaitZero(t, name)
		// That was at a tick of the kubelet, and its ticks are a second apart: to ask at
		// once would measure the same part of a second each time.
		fault.Pause(t.Context(), rand.N(time.Second))
		all = append(all, w.wake(t, name, r.Event))
		t.Log(all[len(all)-1])
		sent = append(sent, r)
	}
	for n, name := range append(slices.Clone(parts), "the whole") {
		t.Logf("%-48s p50 %5d ms   p95 %5d ms", name, quantile(all, n, 0.5).Milliseconds(), quantile(all, n, 0.95).Milliseconds())
	}
	w.restore(t)
	w.check(t, sent)
}

// rounds is how many cold starts are measured.
func rounds(t *testing.T) int {
	t.Helper()
	text := os.Getenv("MILLRACE_TEST_ROUNDS")
	if text == "" {
		return 3
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("MILLRACE_TEST_ROUNDS: %s", text)
	}
	return n
}

func (s coldStart) String() string {
	var words []string
	for _, took := range s {
		words = append(words, strconv.FormatInt(took.Milliseconds(), 10))
	}
	last := len(words) - 1
	return words[last] + " ms = " + strings.Join(words[:last], " + ")
}

// quantile is the smallest value that is not exceeded by such a share.
func quantile(all []coldStart, part int, share float64) time.Duration {
	values := make([]time.Duration, len(all))
	for i, s := range all {
		values[i] = s[part]
	}
	slices.Sort(values)
	return values[max(0, int(float64(len(values))*share+0.9999)-1)]
}

// wake has a function at zero pods decide an event, and finds out what took how
// long. The clocks of the cluster's nodes must be that of this machine.
func (w *world) wake(t *testing.T, function string, e *event.Event) coldStart {
	t.Helper()
	client, url := w.client(t, function)
	sights := w.watch(t, function)
	began := time.Now()
	response, err := client.Post(url, "application/cloudevents+json", bytes.NewReader(event.AppendJSON(nil, e)))
	answered := time.Now()
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusAccepted {
		t.Fatalf("%s answers %d, %v", url, response.StatusCode, err)
	}
	seen, ok := <-sights
	if !ok {
		t.Fatalf("no new pod of %s was seen", function)
	}
	born, listens := w.ownStart(t, seen.pod)
	moments := []time.Time{
		began, seen.made, seen.scheduled, seen.sandbox, born, listens, w.firstLine(t, seen.pod, "queue-proxy").at, seen.known, answered,
	}
	var all coldStart
	for n := range parts {
		if moments[n].IsZero() {
			t.Fatalf("nobody told when the part %q began", parts[n])
		}
		// What was over before the part that it follows took no time of its own.
		if moments[n+1].Before(moments[n]) {
			moments[n+1] = moments[n]
		}
		all = append(all, moments[n+1].Sub(moments[n]))
	}
	return append(all, answered.Sub(began))
}

// soonAtZero shortens what comes before zero: the autoscaler's window, and how long
// a pod may drain. Neither has a part in a start.
func soonAtZero(spec map[string]any) {
	_ = unstructured.SetNestedField(spec, "6s", "template", "metadata", "annotations", "autoscaling.knative.dev/window")
	_ = unstructured.SetNestedField(spec, int64(10), "template", "spec", "timeoutSeconds")
}
