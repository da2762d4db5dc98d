package autoscaling

import (
	"testing"
	"time"
)

// What the model must give, by simple sums.

func TestAnEventAloneTakesItsOwnTime(t *testing.T) {
	t.Parallel()
	model := Measured()
	model.Jitter = 0
	r := result(t, model, manifest(t).With("", "min-scale", "1"), steady(2, 0, 5*time.Minute))
	alone := model.Trigger.of(1) + model.Function.of(1) + model.Wait + model.Database.of(1)
	near(t, "p50 in ms", 1000*r.Others.Quantile(0.5).Seconds(), 1000*alone.Seconds(), 0.02)
}

func TestAPodDecidesWhatItsShardsCan(t *testing.T) {
	t.Parallel()
	model := Measured()
	model.Jitter = 0
	set := manifest(t).With("", "max-scale", "1").Triggered(4)
	r := result(t, model, set, steady(20000, 0, time.Minute))
	full := model.Function.of(model.MaxBatch) + model.Wait + model.Database.of(model.MaxBatch)
	near(t, "events a second", deciding(r, 80*time.Second),
		float64(model.Shards*model.MaxBatch)/full.Seconds(), 0.02)
}

func TestPostgreSQLIsTheCeiling(t *testing.T) {
	t.Parallel()
	model := Measured()
	model.Cores = 2
	set := manifest(t).With("", "target", "1").Triggered(10)
	r := result(t, model, set, steady(40000, 0, time.Minute))
	most := model.Cores / model.Database.PerEvent.Seconds() // with nothing for the transaction itself
	near(t, "events a second", deciding(r, 80*time.Second), most, 0.05)
	if r.MaxPods < 10 {
		t.Errorf("%d pods at most, want 10: the ceiling is to be PostgreSQL's", r.MaxPods)
	}
}

// Little's law: what the autoscaler is told is the rate times the time inside.
func TestConcurrencyIsRateTimesLatency(t *testing.T) {
	t.Parallel()
	model := Measured()
	traffic := steady(50, 0, 5*time.Minute)
	r, err := newRun(model, manifest(t).With("", "min-scale", "1").Triggered(1), traffic, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.knative.close()
	r.clock.run(4 * time.Minute)
	concurrency, _, err := r.knative.collector.StableAndPanicConcurrency(r.knative.revision, r.clock.time())
	if err != nil {
		t.Fatal(err)
	}
	inside := model.Function.of(1) + model.Wait + model.Database.of(1)
	near(t, "concurrency", concurrency, 50*inside.Seconds(), 0.15)
}

func TestColdStartHasItsQuantiles(t *testing.T) {
	t.Parallel()
	r, err := newRun(Measured(), manifest(t), steady(0, 0, 0), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.knative.close()
	var starts Latencies
	for range 10000 {
		starts.add(1, r.service.coldStart())
	}
	near(t, "median in s", starts.Quantile(0.5).Seconds(), 1.5, 0.03)
	near(t, "95th percentile in s", starts.Quantile(0.95).Seconds(), 1.75, 0.03)
}
