package autoscaling

import (
	"testing"
	"time"

	"knative.dev/serving/pkg/autoscaler/scaling"
)

// Knative itself makes the decider of the manifest's annotations.
func TestAnnotationsReachTheAutoscaler(t *testing.T) {
	t.Parallel()
	set := manifest(t).With("", "target", "7", "target-utilization-percentage", "50", "window", "40s",
		"target-burst-capacity", "9", "panic-threshold-percentage", "300", "scale-down-delay", "20s", "activation-scale", "3")
	r, err := newRun(Measured(), set, steady(0, 0, 0), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.knative.close()
	want := scaling.DeciderSpec{MaxScaleUpRate: 1000, MaxScaleDownRate: 2, ScalingMetric: "concurrency", TargetValue: 3.5, TotalValue: 7,
		TargetBurstCapacity: 9, ActivatorCapacity: 100, PanicThreshold: 3, StableWindow: 40 * time.Second, ScaleDownDelay: 20 * time.Second,
		InitialScale: 1, Reachable: true, ActivationScale: 3}
	if got := r.knative.decider.Spec; got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// In panic the autoscaler goes by six seconds, else by sixty.
func TestPanicIsFaster(t *testing.T) {
	t.Parallel()
	reached := func(threshold string) time.Duration {
		traffic := steady(100, 0, 5*time.Minute)
		rate := traffic.Rate
		traffic.Rate = func(at time.Duration) float64 {
			if at > 3*time.Minute {
				return 500 * rate(at)
			}
			return rate(at)
		}
		set := manifest(t).With("", "target", "1", "min-scale", "1", "panic-threshold-percentage", threshold).Triggered(2)
		for _, s := range result(t, Measured(), set, traffic).Samples {
			if s.Pods >= 5 {
				return s.At - 3*time.Minute
			}
		}
		return time.Hour
	}
	panicking, calm := reached("200"), reached("1000")
	if panicking > 12*time.Second || calm < 20*time.Second || calm == time.Hour {
		t.Errorf("five pods after %v in panic and %v without, want at most 12s and at least 20s", panicking, calm)
	}
}

func TestDoesNotScaleDownInPanic(t *testing.T) {
	t.Parallel()
	traffic := steady(50000, 0, 10*time.Second)
	r := result(t, Measured(), manifest(t).With("", "target", "1").Triggered(2), traffic)
	highest := 0
	for _, s := range r.Samples {
		highest = max(highest, s.Pods)
		if s.At > traffic.Ends && s.At < traffic.Ends+50*time.Second && s.Pods < highest {
			t.Fatalf("%d pods after %v, of %d: the panic lasts a window of 60 s", s.Pods, s.At, highest)
		}
	}
	if highest < 5 {
		t.Fatalf("%d pods at most, want some", highest)
	}
}

// The last pod goes when the window is empty, and then the longest of the grace
// period (30 s) and the retention has passed.
func TestTimeToZero(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		window, retention string
		want              time.Duration
	}{
		{"60s", "0s", 90 * time.Second},
		{"60s", "1m", 120 * time.Second},
		{"20s", "5m", 320 * time.Second},
		{"6s", "0s", 36 * time.Second},
	} {
		set := manifest(t).With("", "target", "4", "window", c.window, "scale-to-zero-pod-retention-period", c.retention)
		r := result(t, Measured(), set, steady(200, 0, 3*time.Minute))
		if r.ToZero < c.want-time.Second || r.ToZero > c.want+5*time.Second {
			t.Errorf("window %s, retention %s: zero after %v, want %v", c.window, c.retention, r.ToZero, c.want)
		}
		if r.Pods == 0 || r.Changes != 2 {
			t.Errorf("window %s: %d changes, want up and down once", c.window, r.Changes)
		}
	}
}

func TestFirstEventWaitsForOneColdStart(t *testing.T) {
	t.Parallel()
	r := result(t, Measured(), manifest(t), steady(1, 0, 3*time.Minute))
	if r.Starts != 1 || r.Others.Max < 1200*time.Millisecond || r.Others.Max > 2*time.Second {
		t.Errorf("%d starts, at most %v, want one of about 1.5 s: the activator tells the autoscaler at once", r.Starts, r.Others.Max)
	}
}

// A burst that the activator holds back because of containerConcurrency is not
// in the pods.
func TestContainerConcurrencyLimitsAPod(t *testing.T) {
	t.Parallel()
	traffic := steady(20000, 0, time.Minute)
	r, err := newRun(Measured(), manifest(t).With("", "max-scale", "2").Limited(3).Triggered(4), traffic, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.knative.close()
	full := 0
	r.check = func(r *run) {
		for _, p := range r.service.pods {
			if p.inFlight > 3 {
				t.Errorf("%d requests in a pod at %v, want 3 at most", p.inFlight, r.clock.now)
			}
			full = max(full, p.inFlight)
		}
	}
	r.clock.run(traffic.Length)
	if full != 3 {
		t.Errorf("a pod had %d requests at most, want 3", full)
	}
}
