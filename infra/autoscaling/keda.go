package autoscaling

import (
	"cmp"
	"math"
	"time"
)

// Keda scales the triggers on lag: a ScaledObject with the Kafka scaler.
// The zero value leaves one trigger there always.
type Keda struct {
	// LagThreshold is how many events each trigger may have waiting.
	LagThreshold int
	// Polling and Cooldown are pollingInterval and cooldownPeriod, in seconds.
	Polling, Cooldown int
	// Min and Max bound the replicas.
	Min, Max int
	// Stabilization is the HPA's scaleDown.stabilizationWindowSeconds.
	Stabilization int
	// Up is how many pods the HPA may add at a time; 0: its default, four.
	Up int
}

// The HPA's defaults: kube-controller-manager's sync period and tolerance, and
// behavior.scaleUp and scaleDown, which allow the larger of four pods and twice
// as many every 15 s, and any fall.
const (
	hpaSync      = 15 * time.Second
	hpaTolerance = 0.1
	hpaPods      = 4
)

// keda is KEDA's operator, which wakes and puts to sleep, and the HPA, which
// does all between.
type keda struct {
	Keda

	clock *clock
	group *group

	active    time.Duration // when there was lag last
	proposals []proposal    // of the HPA, within the stabilization window
}

type proposal struct {
	at   time.Duration
	want int
}

func (k *keda) start() {
	k.group.fixed(k.Min)
	k.clock.every(interval(k.Polling), k.poll)
	k.clock.every(hpaSync, k.sync)
}

// poll scales between zero and one. Lag of any size wakes (activationLagThreshold 0).
func (k *keda) poll() {
	switch lag := k.group.topic.lag(); {
	case lag > 0:
		k.active = k.clock.now
		if k.group.want == 0 {
			k.group.scale(1)
		}
	case k.Min == 0 && k.clock.now-k.active >= interval(k.Cooldown):
		k.group.scale(0)
	}
}

// sync is the HPA, with the lag as an external metric of type AverageValue. KEDA
// tells it of no more lag than gives each partition a trigger.
func (k *keda) sync() {
	if k.group.want == 0 {
		return
	}
	lag := float64(min(k.group.topic.lag(), k.LagThreshold*len(k.group.topic.partitions)))
	want := int(math.Ceil(lag / float64(k.LagThreshold)))
	if math.Abs(1-lag/float64(k.LagThreshold*k.group.want)) <= hpaTolerance {
		want = k.group.want
	}
	want = min(want, max(2*k.group.want, k.group.want+cmp.Or(k.Up, hpaPods)))
	want = min(max(want, 1, k.Min), k.Max)
	k.group.scale(k.stabilized(want))
}

// stabilized is the highest proposal of the window, so that a fall waits for it.
func (k *keda) stabilized(want int) int {
	k.proposals = append(k.proposals, proposal{k.clock.now, want})
	highest := want
	kept := k.proposals[:0]
	for _, p := range k.proposals {
		if k.clock.now-p.at < interval(k.Stabilization) || p.at == k.clock.now {
			kept = append(kept, p)
			highest = max(highest, p.want)
		}
	}
	k.proposals = kept
	return min(highest, max(want, k.group.want))
}
