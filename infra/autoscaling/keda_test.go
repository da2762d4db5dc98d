package autoscaling

import (
	"testing"
	"time"
)

// lagging returns the number of triggers over time while so many events wait
// that nobody takes.
func lagging(t *testing.T, k Keda, lag func(time.Duration) int, length time.Duration) map[time.Duration]int {
	t.Helper()
	r, err := newRun(Measured(), manifest(t).Lagged(k), steady(0, 0, 0), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.knative.close()
	wanted := map[time.Duration]int{}
	r.clock.every(time.Second, func() {
		wanted[r.clock.now] = r.group.want
		r.topic.partitions[0].lag = lag(r.clock.now)
	})
	r.clock.run(length)
	return wanted
}

func TestKedaWakesAtItsPollAndSleepsAfterItsCooldown(t *testing.T) {
	t.Parallel()
	k := Keda{LagThreshold: 1000, Polling: 30, Cooldown: 120, Max: 10, Stabilization: 60}
	wanted := lagging(t, k, func(at time.Duration) int {
		if at >= 35*time.Second && at < 100*time.Second {
			return 10
		}
		return 0
	}, 10*time.Minute)
	for at, want := range map[int]int{59: 0, 61: 1, 89: 1, 209: 1, 211: 0} {
		if got := wanted[interval(at)]; got != want {
			t.Errorf("%d triggers after %d s, want %d", got, at, want)
		}
	}
}

func TestHPAGoesByLagForEachTrigger(t *testing.T) {
	t.Parallel()
	k := Keda{LagThreshold: 1000, Polling: 30, Cooldown: 120, Min: 1, Max: 10, Stabilization: 60}
	wanted := lagging(t, k, func(at time.Duration) int {
		switch {
		case at < 20*time.Second:
			return 2500 // three
		case at < 50*time.Second:
			return 3200 // within a tenth of three
		case at < 80*time.Second:
			return 100000 // four more at a time, or twice as many; then one for each partition
		default:
			return 1900
		}
	}, 10*time.Minute)
	for at, want := range map[int]int{14: 1, 16: 3, 46: 3, 61: 7, 76: 10, 120: 10, 151: 2} {
		if got := wanted[interval(at)]; got != want {
			t.Errorf("%d triggers after %d s, want %d", got, at, want)
		}
	}
}
