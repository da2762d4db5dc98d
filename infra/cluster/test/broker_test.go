package test_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/millrace/millrace/infra/traffic"
	"github.com/millrace/millrace/shared/event"
)

var brokers = schema.GroupVersionResource{Group: "eventing.knative.dev", Version: "v1", Resource: "brokers"}

// fromZero is how long events may take from their way in to their effect, with a
// cold start of each function.
const fromZero = 2 * time.Minute

// An event posted to the Broker goes by Trigger to triggers/http, into Kafka, and by
// the batch trigger to its function, which is at zero pods.
func TestBrokerToEffectFromZero(t *testing.T) {
	w := join(t)
	s := ofAll(t, 120)
	s.Sequences = true // a Broker keeps no order
	sent := recordsOf(t, s)
	byFamily(t, sent)
	w.awaitZero(t, functions()...)
	before, ends := w.channel(t), w.ends(t)
	url := w.brokerURL(t, "millrace")
	for _, r := range sent {
		w.post(t, url, r.Event)
	}
	t.Logf("the Broker has taken %d events", len(sent))
	came := w.awaitEffect(t, sent, ends, before)
	byFamily(t, came)
	pods, err := w.pods(t.Context(), functions()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("pods that were woken: %s", names(pods))
	w.check(t, came)
}

// awaitEffect returns the events that came to Kafka since its topics ended there, when
// all of them are decided. All that were sent must have come, but for those that a
// channel which was killed may have lost.
func (w *world) awaitEffect(t *testing.T, sent []traffic.Record, ends map[string]map[int32]int64, before string) (came []traffic.Record) {
	t.Helper()
	seen := 0
	await(t, "every event has its effect", fromZero, func(ctx context.Context) (string, error) {
		killed := w.channel(t) != before
		left, err := w.undecided(ctx, sent)
		if err != nil || len(left) > 0 && !killed {
			return fmt.Sprintf("%d of %d are not decided", len(left), len(sent)), err
		}
		if came, err = w.since(ctx, ends, sent); err != nil {
			return "", err
		}
		if missing := len(sent) - len(came); missing > 0 && !killed {
			return fmt.Sprintf("%d of %d are not in Kafka", missing, len(sent)), nil
		} else if missing > 0 && (len(came) == 0 || len(came) > seen) {
			seen = len(came)
			return fmt.Sprintf("more come than the %d that are in Kafka", seen), nil
		}
		if left, err = w.undecided(ctx, came); len(left) > 0 {
			return fmt.Sprintf("%d of the %d in Kafka are not decided", len(left), len(came)), err
		}
		return "", err
	})
	if lost := len(sent) - len(came); lost > 0 {
		t.Logf("THE CHANNEL WAS RESTARTED, and %d events were lost in it", lost)
	}
	return came
}

// channel tells whether the in-memory channel has lived on.
func (w *world) channel(t *testing.T) string {
	t.Helper()
	list, err := w.kube.CoreV1().Pods("knative-eventing").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return lives(list.Items)
}

func (w *world) brokerURL(t *testing.T, name string) string {
	t.Helper()
	broker, err := w.knative.Resource(brokers).Namespace(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	url, _, _ := unstructured.NestedString(broker.Object, "status", "address", "url")
	if url == "" {
		t.Fatal("the Broker has no address: is it ready?")
	}
	return url
}

// post has an event taken.
func (w *world) post(t *testing.T, url string, e *event.Event) {
	t.Helper()
	if err := w.offer(t.Context(), url, e); err != nil {
		t.Fatal(err)
	}
}

// offer returns nil if the event is taken.
func (w *world) offer(ctx context.Context, url string, e *event.Event) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(event.AppendJSON(nil, e)))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/cloudevents+json")
	response, err := w.http.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("%s answers %d: %s", url, response.StatusCode, body)
	}
	return err
}

func (w *world) do(t *testing.T, request *http.Request) (status int, body string) {
	t.Helper()
	response, err := w.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}
