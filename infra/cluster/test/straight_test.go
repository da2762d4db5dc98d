package test_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/millrace/millrace/infra/traffic"
	"github.com/millrace/millrace/shared/event"
)

var triggers = schema.GroupVersionResource{Group: "eventing.knative.dev", Version: "v1", Resource: "triggers"}

// straight is the name of a Broker and a Trigger that lead straight to trade, one
// event a request and past Kafka, as a stock source does.
const straight = "test-straight"

// A function behind a stock dispatcher is dead for a shorter time than that one
// tries: every event has its effect, and none was given up. One that cannot be
// decided is a dead letter in PostgreSQL, and to the dispatcher it is done.
func TestTriggerTriesAgain(t *testing.T) {
	w := join(t)
	t.Cleanup(func() { w.restore(t) })
	url, sent, given := w.killBehind(t, 10)
	poison := *sent[0].Event
	poison.ID, poison.Type = poison.ID+"-poison", "trade.executed.v9"
	poison.Subject, poison.Sequence = poison.Subject+"-poison", 0
	taken := w.offerAll(t, url, append(events(sent), &poison))
	w.awaitCrashes(t, "trade", 2)
	w.setMood(t, "20s")
	w.awaitDecided(t, 3*time.Minute, sent)
	w.awaitDeadLetter(t, &poison)
	taken.Wait()
	if n := given(); n != 0 {
		t.Errorf("%d events came by Kafka, and so were given up", n)
	}
	w.restore(t)
	w.check(t, append(sent, traffic.Record{Event: &poison}))
}

// It is dead for longer: what the dispatcher gives up goes to the Trigger's
// dead-letter sink, triggers/http, waits in Kafka, and is decided once when the
// function is back.
func TestTriggerGivesUp(t *testing.T) {
	w := join(t)
	t.Cleanup(func() { w.restore(t) })
	url, sent, given := w.killBehind(t, 1)
	taken := w.offerAll(t, url, events(sent))
	await(t, "every event is given up, and waits in Kafka", 2*time.Minute, func(context.Context) (string, error) {
		if n := given(); n < len(sent) {
			return fmt.Sprintf("%d of %d are there", n, len(sent)), nil
		}
		return "", nil
	})
	taken.Wait()
	if left, err := w.undecided(t.Context(), sent); err != nil || len(left) != len(sent) {
		t.Fatalf("%d of %d are not decided, %v; the function was dead", len(left), len(sent), err)
	}
	w.setMood(t, "20s")
	w.awaitDecided(t, 3*time.Minute, sent)
	w.restore(t)
	w.check(t, sent)
}

// killBehind kills trade behind a Trigger straight to it, and returns the Broker's
// address, events for it, and how many were given up since: those are in Kafka.
func (w *world) killBehind(t *testing.T, retries int64) (url string, sent []traffic.Record, given func() int) {
	t.Helper()
	url = w.goStraight(t, retries)
	count := func() int64 {
		done, left := w.extents(t, "trade")
		return done + left
	}
	before := count()
	w.killFunction(t, "trade")
	return url, w.trades(t, 20), func() int { return int(count() - before) }
}

// goStraight makes the Broker and its Trigger. An event is tried once and so many
// times more, for three seconds each; a crash of its channel would lose it.
func (w *world) goStraight(t *testing.T, retries int64) (url string) {
	t.Helper()
	w.create(t, brokers, nil)
	w.create(t, triggers, map[string]any{
		"broker":     straight,
		"subscriber": reference("serving.knative.dev/v1", "trade"),
		"delivery": map[string]any{
			"retry": retries, "backoffPolicy": "linear", "backoffDelay": "PT1S", "timeout": "PT3S",
			"deadLetterSink": reference("v1", "http-subscriber"),
		},
	})
	return w.brokerURL(t, straight)
}

func reference(version, name string) map[string]any {
	return map[string]any{"ref": map[string]any{"apiVersion": version, "kind": "Service", "name": name}}
}

// create makes one that is gone after the test, and returns when it is ready.
func (w *world) create(t *testing.T, kind schema.GroupVersionResource, spec map[string]any) {
	t.Helper()
	object := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	object.SetAPIVersion(kind.GroupVersion().String())
	object.SetKind(map[string]string{"brokers": "Broker", "triggers": "Trigger"}[kind.Resource])
	object.SetName(straight)
	all := w.knative.Resource(kind).Namespace(namespace)
	err := insist(func() error {
		_, err := all.Create(t.Context(), object, metav1.CreateOptions{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	await(t, object.GetKind()+" "+straight+" is ready", time.Minute, func(ctx context.Context) (string, error) {
		object, err := all.Get(ctx, straight, metav1.GetOptions{})
		if err == nil && !isReady(object) {
			return "it is not", nil
		}
		return "", err
	})
}

// removeStraight returns when neither is there.
func (w *world) removeStraight(t *testing.T) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	for _, kind := range []schema.GroupVersionResource{triggers, brokers} {
		all := w.knative.Resource(kind).Namespace(namespace)
		err := insist(func() error { return all.Delete(ctx, straight, metav1.DeleteOptions{}) })
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		await(t, kind.Resource+" "+straight+" is gone", time.Minute, func(ctx context.Context) (string, error) {
			_, err := all.Get(ctx, straight, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return "", nil
			}
			return "it is there", err
		})
	}
}

// trades are events of trade that nobody has sent before.
func (w *world) trades(t *testing.T, n int) []traffic.Record {
	t.Helper()
	s := ofAll(t, n)
	s.Sequences = true // a Broker keeps no order
	if err := s.Only("trade"); err != nil {
		t.Fatal(err)
	}
	return recordsOf(t, s)
}

// offerAll has a Broker take events, all at once. One on an in-memory channel answers
// when the Trigger's subscriber or its dead-letter sink has the event.
func (w *world) offerAll(t *testing.T, url string, all []*event.Event) *sync.WaitGroup {
	t.Helper()
	var taken sync.WaitGroup
	ctx := t.Context()
	for _, e := range all {
		taken.Go(func() {
			if err := w.offer(ctx, url, e); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(taken.Wait)
	return &taken
}

func events(all []traffic.Record) []*event.Event {
	out := make([]*event.Event, len(all))
	for n := range all {
		out[n] = all[n].Event
	}
	return out
}

func (w *world) awaitDeadLetter(t *testing.T, e *event.Event) {
	t.Helper()
	const find = `SELECT kind || ': ' || reason FROM millrace.dead_letters WHERE tenant_id = $1 AND source = $2 AND event_id = $3`
	var why string
	await(t, "the event that cannot be decided is a dead letter", time.Minute, func(ctx context.Context) (string, error) {
		return "", w.pool.QueryRow(ctx, find, e.TenantID, e.Source, e.ID).Scan(&why)
	})
	t.Logf("its dead letter says %s", why)
}
