package test_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// A function whose memory grows without end is killed by the kernel again and
// again in the middle of its work: nothing is lost.
func TestKilledForMemory(t *testing.T) {
	w := join(t)
	t.Cleanup(func() { w.restore(t) })
	w.change(t, "trade", func(spec map[string]any) {
		setContainer(spec, map[string]any{
			"env":       map[string]any{"name": "GOGC", "value": "off"}, // all garbage is kept
			"resources": resources("64Mi"),
		})
	})
	w.awaitService(t, "trade")
	s := newTraffic(t, 0)
	if err := s.Only("trade"); err != nil {
		t.Fatal(err)
	}
	s.Rate, s.Sequences = 300, true
	load := w.begin(t, s)
	w.awaitKilled(t, "trade")
	sent := load.stop(t)
	t.Logf("%d events sent", len(sent))
	w.restore(t)
	w.check(t, sent)
	w.checkOrder(t, sent)
}

func resources(memory string) map[string]any {
	return map[string]any{
		"requests": map[string]any{"cpu": "50m", "memory": memory},
		"limits":   map[string]any{"cpu": "2", "memory": memory},
	}
}

// awaitKilled returns when the kernel has killed three times for memory.
func (w *world) awaitKilled(t *testing.T, function string) {
	t.Helper()
	kills := map[string]bool{}
	await(t, "the kernel has killed three times for memory", 3*time.Minute, func(ctx context.Context) (string, error) {
		pods, err := w.pods(ctx, function)
		for i := range pods {
			c := own(&pods[i])
			for _, ended := range []*corev1.ContainerStateTerminated{c.State.Terminated, c.LastTerminationState.Terminated} {
				if ended != nil && ended.Reason == "OOMKilled" && !kills[ended.ContainerID] {
					kills[ended.ContainerID] = true
					t.Logf("killed for memory: %s, %s", pods[i].Name, ended.FinishedAt)
				}
			}
		}
		if n := len(kills); n < 3 {
			return fmt.Sprintf("%d kills", n), err
		}
		return "", nil
	})
}
