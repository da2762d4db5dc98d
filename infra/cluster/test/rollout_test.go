package test_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/millrace/millrace/infra/traffic"
)

// A new revision decides what comes by its tag before it has traffic; then it has 10%
// of it, 50%, all, and none again; then all at once and none, as blue-green does. It
// is under load, and not one request fails.
func TestRollout(t *testing.T) {
	w := join(t)
	t.Cleanup(func() { w.restore(t) })
	before := w.awaitService(t, "trade")
	load := w.callers(t, "trade")
	w.change(t, "trade", func(spec map[string]any) {
		setContainer(spec, map[string]any{"env": map[string]any{"name": "TEST_ROUND", "value": time.Now().String()}})
		spec["traffic"] = []any{share(before, 100), map[string]any{"tag": "candidate", "latestRevision": true, "percent": int64(0)}}
	})
	after := w.awaitService(t, "trade")
	byTag := w.callByTag(t, "candidate-trade", after)
	for _, c := range []struct {
		percent     int64
		least, most float64
	}{{0, 0, 0}, {10, 0.02, 0.25}, {50, 0.3, 0.7}, {100, 1, 1}, {0, 0, 0}, {100, 1, 1}, {0, 0, 0}} {
		w.divide(t, share(before, 100-c.percent), share(after, c.percent))
		part := w.partOf(t, load, before, after)
		t.Logf("%d%%: %s has %.0f%% of the requests", c.percent, after, 100*part)
		if part < c.least || part > c.most {
			t.Errorf("%s has %.2f of the requests, with %d%% of the traffic", after, part, c.percent)
		}
	}
	sent := append(load.end(t), byTag...)
	w.restore(t)
	w.check(t, sent)
}

// A revision that never is ready never has traffic, though all is to go to the newest.
func TestUnreadyRevision(t *testing.T) {
	w := join(t)
	t.Cleanup(func() { w.restore(t) })
	before := w.awaitService(t, "trade")
	load := w.callers(t, "trade")
	load.await(t, 50)
	w.change(t, "trade", func(spec map[string]any) {
		setContainer(spec, map[string]any{"readinessProbe": map[string]any{
			"httpGet": map[string]any{"path": "/health/none", "port": int64(0)}, "periodSeconds": int64(1),
		}})
	})
	w.awaitUnready(t, before)
	load.await(t, 300)
	service, err := w.service(t.Context(), "trade")
	if err != nil {
		t.Fatal(err)
	}
	traffic, _, _ := unstructured.NestedSlice(service.Object, "status", "traffic")
	if got := text(service, "status", "latestReadyRevisionName"); got != before {
		t.Errorf("%s is ready", got)
	}
	if len(traffic) != 1 {
		t.Fatalf("traffic goes to %v", traffic)
	}
	if only, _ := traffic[0].(map[string]any); only["revisionName"] != before {
		t.Errorf("traffic goes to %v", traffic)
	}
	newest := text(service, "status", "latestCreatedRevisionName")
	if n := w.decidedBy(t, newest); n != 0 {
		t.Errorf("%s has decided %.0f events", newest, n)
	}
	sent := load.end(t)
	w.restore(t)
	w.check(t, sent)
}

func share(revision string, percent int64) map[string]any {
	return map[string]any{"revisionName": revision, "percent": percent}
}

// divide returns when the traffic is divided.
func (w *world) divide(t *testing.T, shares ...any) {
	t.Helper()
	w.change(t, "trade", func(spec map[string]any) { spec["traffic"] = shares })
	w.awaitService(t, "trade")
}

// callByTag sends events to a revision by the name of its own, and holds that this one
// decides them: it has no other traffic.
func (w *world) callByTag(t *testing.T, name, revision string) []traffic.Record {
	t.Helper()
	if n := w.decidedBy(t, revision); n != 0 {
		t.Errorf("%s has decided %.0f events before anybody has named it", revision, n)
	}
	url := "http://" + name + "." + namespace + ".svc.cluster.local"
	sent := w.trades(t, 5)
	for _, r := range sent {
		w.post(t, url, r.Event)
	}
	await(t, fmt.Sprintf("%s has decided %d events by its tag", revision, len(sent)), time.Minute, func(ctx context.Context) (string, error) {
		all, err := w.counts(ctx)
		if n := int(total(all, revision)); n < len(sent) {
			return fmt.Sprintf("it has decided %d", n), err
		}
		return "", err
	})
	return sent
}

// partOf is what part of 200 requests the pods of the second revision have. Where
// the gateway learns of new shares a little late, the first ones do not count.
func (w *world) partOf(t *testing.T, load *callers, first, second string) float64 {
	t.Helper()
	load.await(t, 30)
	before, err := w.counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// A pod that goes meanwhile takes its count with it: the last one seen is kept.
	after, until := maps.Clone(before), load.answered.Load()+200
	await(t, "200 more requests are answered", 2*time.Minute, func(ctx context.Context) (string, error) {
		now, err := w.counts(ctx)
		maps.Copy(after, now)
		if n := load.answered.Load(); n < until && load.refused.Load() == nil {
			return fmt.Sprintf("%d are missing", until-n), err
		}
		return "", err
	})
	load.hold(t)
	ones, others := total(after, first)-total(before, first), total(after, second)-total(before, second)
	return others / max(1, ones+others)
}

// decidedBy counts the events that the pods of a revision have decided.
func (w *world) decidedBy(t *testing.T, revision string) float64 {
	t.Helper()
	all, err := w.counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return total(all, revision)
}

// podOfRevision is one of a revision's pods.
type podOfRevision struct{ revision, name string }

// counts are how many events each running pod of trade has decided.
func (w *world) counts(ctx context.Context) (map[podOfRevision]float64, error) {
	pods, err := w.pods(ctx, "trade")
	if err != nil {
		return nil, err
	}
	all := map[podOfRevision]float64{}
	for i := range pods {
		pod := &pods[i]
		if own(pod).State.Running == nil || pod.DeletionTimestamp != nil {
			continue
		}
		metrics, err := w.kube.CoreV1().Pods(namespace).ProxyGet("http", pod.Name, "8080", "/metrics", nil).DoRaw(ctx)
		if err != nil {
			return nil, err
		}
		all[podOfRevision{pod.Labels["serving.knative.dev/revision"], pod.Name}] = sum(metrics, "millrace_events_total{")
	}
	return all, nil
}

func total(counts map[podOfRevision]float64, revision string) (n float64) {
	for pod, count := range counts {
		if pod.revision == revision {
			n += count
		}
	}
	return n
}

func sum(metrics []byte, prefix string) (total float64) {
	for lines := bufio.NewScanner(bytes.NewReader(metrics)); lines.Scan(); {
		if line := lines.Text(); strings.HasPrefix(line, prefix) {
			value, _ := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
			total += value
		}
	}
	return total
}

// awaitUnready returns when the process of a newer revision runs and its pod is not ready.
func (w *world) awaitUnready(t *testing.T, before string) {
	t.Helper()
	await(t, "a newer revision runs without being ready", 2*time.Minute, func(ctx context.Context) (string, error) {
		pods, err := w.pods(ctx, "trade")
		for i := range pods {
			if pods[i].Labels["serving.knative.dev/revision"] != before && own(&pods[i]).State.Running != nil {
				if ready(pods[i:i+1]) != 0 {
					return "", fmt.Errorf("%s is ready", pods[i].Name)
				}
				return "", nil
			}
		}
		return "it does not run", err
	})
}
