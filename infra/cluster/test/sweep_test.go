package test_test

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// A pod is killed between its commits and what it has to tell Redis, and no other
// pod of its function is asked anything: the sweeper wakes by its schedule and
// finishes that.
func TestSweeperWakesForKilledPod(t *testing.T) {
	w := join(t)
	t.Cleanup(func() { w.restore(t) })
	s := ofAll(t, 50)
	if err := s.Only("trade"); err != nil {
		t.Fatal(err)
	}
	sent := recordsOf(t, s)
	w.awaitZero(t, "trade")
	w.pauseRedis(t)
	w.send(t, sent)
	w.awaitDecided(t, 2*time.Minute, sent)
	if err := w.scale(t.Context(), "trade-trigger", 0); err != nil {
		t.Fatal(err)
	}
	w.endPods(t, "trade")
	rows := w.leftover(t, "trade")
	if rows == 0 {
		t.Fatal("the killed pod has left nothing")
	}
	t.Logf("the killed pod has left %d rows in the outbox", rows)
	w.resumeRedis(t)
	woken := map[string]bool{}
	await(t, "the sweeper has finished that", 3*time.Minute, func(ctx context.Context) (string, error) {
		pods, err := w.pods(ctx, "relay")
		for i := range pods {
			woken[pods[i].Name] = true
		}
		if n := w.leftover(t, "trade"); n > 0 || err != nil {
			return fmt.Sprintf("%d rows are left", n), err
		}
		return "", nil
	})
	if len(woken) == 0 {
		t.Error("no pod of the relay was there: who has done it?")
	}
	t.Logf("pods of the relay that were there: %v", woken)
	w.restore(t)
	w.check(t, sent)
}

// pauseRedis has every write to Redis wait; Redis ends it by itself when a run is
// interrupted.
func (w *world) pauseRedis(t *testing.T) {
	t.Helper()
	if err := w.redis.Do(t.Context(), "CLIENT", "PAUSE", (2 * time.Minute).Milliseconds(), "WRITE").Err(); err != nil {
		t.Fatal(err)
	}
	t.Log("Redis takes no writes")
	t.Cleanup(func() { w.resumeRedis(t) })
}

func (w *world) resumeRedis(t *testing.T) {
	t.Helper()
	if err := w.redis.Do(context.WithoutCancel(t.Context()), "CLIENT", "UNPAUSE").Err(); err != nil {
		t.Fatal(err)
	}
}

// leftover counts what is committed but not told yet.
func (w *world) leftover(t *testing.T, function string) (rows int) {
	t.Helper()
	err := w.pool.QueryRow(t.Context(), `SELECT count(*) FROM millrace.outbox WHERE function = $1`, function).Scan(&rows)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}
