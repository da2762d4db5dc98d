package autoscaling

import (
	"reflect"
	"testing"
	"time"
)

// Everything that goes on at once: a hot key, a hot tenant, triggers that come and go, pods
// that come, drain and go.
func busy() (Settings, Traffic) {
	traffic := steady(9000, 3000, 3*time.Minute)
	rate := traffic.Rate
	traffic.Flood = rate
	traffic.Rate = func(at time.Duration) float64 { // waves
		if at/(20*time.Second)%2 == 0 {
			return rate(at) / 10
		}
		return rate(at)
	}
	return Settings{Keda: &Keda{LagThreshold: 500, Polling: 5, Cooldown: 60, Max: 10}}, traffic
}

func TestNoEventIsLostOrDoubled(t *testing.T) {
	t.Parallel()
	set, traffic := busy()
	set.Annotations = manifest(t).With("", "target", "1", "window", "6s").Annotations
	r, err := newRun(Measured(), set, traffic, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.knative.close()
	checked := 0
	r.check = func(r *run) {
		checked++
		conserved(t, r)
	}
	r.clock.run(traffic.Length)
	if end := r.end(); end.Backlog != 0 || end.Arrived == 0 || end.Changes < 6 || end.Triggers == 0 {
		t.Errorf("at the end: %d events came, %d are left, pods changed %d times", end.Arrived, end.Backlog, end.Changes)
	}
	if want := int(traffic.Length / traffic.Sample); checked != want {
		t.Errorf("checked %d times, want %d", checked, want)
	}
}

// conserved holds the counts against each other: what arrived is decided or in
// exactly one place.
func conserved(t *testing.T, r *run) {
	t.Helper()
	undone, unmarked, sent := 0, 0, 0
	for _, p := range r.topic.partitions {
		for _, c := range append(append([]*chunk(nil), p.read...), p.unread...) {
			if c.unsent < 0 || c.undone < c.unsent {
				t.Fatalf("a chunk has %d events to send and %d to decide", c.unsent, c.undone)
			}
			undone += c.undone
			unmarked += c.events
			sent += c.undone - c.unsent
		}
	}
	if undone != r.topic.arrived-r.topic.done {
		t.Fatalf("at %v: %d arrived, %d are done, %d wait", r.clock.now, r.topic.arrived, r.topic.done, undone)
	}
	if unmarked != r.topic.lag() {
		t.Fatalf("at %v: the lag is %d, and %d are not marked", r.clock.now, r.topic.lag(), unmarked)
	}
	if under := underway(r); under > sent {
		t.Fatalf("at %v: %d events are sent, and %d are in the function", r.clock.now, sent, under)
	}
}

// underway is how many events requests have in the function.
func underway(r *run) int {
	requests := map[*request]bool{}
	for _, held := range r.service.held {
		requests[held] = true
	}
	for _, p := range r.service.pods {
		for _, s := range p.shards {
			for _, w := range s.queue {
				requests[w.request] = true
			}
		}
	}
	n := 0
	for request := range requests {
		n += request.events
	}
	return n
}

func TestSameSeedSameRun(t *testing.T) {
	t.Parallel()
	set, traffic := busy()
	set.Annotations = manifest(t).Annotations
	var runs []Result
	for _, seed := range []uint64{1, 1, 2} {
		r, err := Run(Measured(), set, traffic, seed)
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, r)
	}
	if !reflect.DeepEqual(runs[0], runs[1]) {
		t.Error("the same seed gave two results")
	}
	if reflect.DeepEqual(runs[0], runs[2]) {
		t.Error("another seed gave the same result")
	}
}

// One entity has one request under way, so more pods can't decide more of it.
func TestHotKeyHasOneRequestUnderWay(t *testing.T) {
	t.Parallel()
	model := Measured()
	model.Jitter = 0
	traffic := steady(0, 9000, time.Minute)
	for _, triggers := range []int{1, 10} {
		set := manifest(t).With("", "target", "1", "min-scale", "10", "max-scale", "10").Triggered(triggers)
		r := result(t, model, set, traffic)
		one := model.Trigger.of(500) + model.Function.of(500) + model.Wait + model.Database.of(500)
		near(t, "events of the hot key a second", deciding(r, 70*time.Second), 500/one.Seconds(), 0.02)
	}
}

// A hot tenant has many entities: all pods decide them, and its own events are not
// among those whose latencies are told.
func TestHotTenantIsSpread(t *testing.T) {
	t.Parallel()
	traffic := steady(1000, 0, time.Minute)
	traffic.Flood = steady(20000, 0, time.Minute).Rate
	r := result(t, Measured(), manifest(t).With("", "min-scale", "4").Triggered(4), traffic)
	near(t, "events decided a second", deciding(r, 70*time.Second), 21000, 0.02)
	near(t, "events of others", float64(r.Others.total), 60*1000, 0.02)
	near(t, "events of the tenant", float64(r.Hot.total), 60*20000, 0.02)
}
