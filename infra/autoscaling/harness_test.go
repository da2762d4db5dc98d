package autoscaling

import (
	"testing"
	"time"
)

func manifest(t *testing.T) Settings {
	t.Helper()
	set, err := FromManifest("../knative/base/functions/function.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func result(t *testing.T, model Model, set Settings, traffic Traffic) Result {
	t.Helper()
	r, err := Run(model, set, traffic, 1)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// steady is traffic that does not change, from a minute on.
func steady(rate, hot float64, lasts time.Duration) Traffic {
	const from = time.Minute
	within := func(events float64) func(time.Duration) float64 {
		return func(at time.Duration) float64 {
			if at < from || at >= from+lasts {
				return 0
			}
			return events
		}
	}
	return Traffic{Name: "steady", Rate: within(rate), Hot: within(hot), Flood: none, Ends: from + lasts,
		Length: from + lasts + 10*time.Minute, Sample: time.Second}
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if got < want*(1-tolerance) || got > want*(1+tolerance) {
		t.Errorf("%s is %.4g, want %.4g give or take %.0f%%", what, got, want, 100*tolerance)
	}
}

// deciding is the average of events decided a second from a moment until 110 s.
func deciding(r Result, from time.Duration) float64 {
	sum, n := 0.0, 0
	for _, s := range r.Samples {
		if s.At > from && s.At <= 110*time.Second {
			sum += s.Deciding
			n++
		}
	}
	return sum / float64(n)
}
