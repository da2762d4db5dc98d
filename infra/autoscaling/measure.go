package autoscaling

import (
	"math"
	"time"
)

// Latencies is a distribution in buckets of two per cent.
type Latencies struct {
	counts []int
	total  int
	Max    time.Duration
}

const growth = 1.02

func (l *Latencies) add(events int, latency time.Duration) {
	bucket := int(math.Log(max(1, latency.Seconds()*1000)) / math.Log(growth))
	for len(l.counts) <= bucket {
		l.counts = append(l.counts, 0)
	}
	l.counts[bucket] += events
	l.total += events
	l.Max = max(l.Max, latency)
}

// Quantile returns the latency that a share of the events did not exceed.
func (l *Latencies) Quantile(share float64) time.Duration {
	seen := 0
	for bucket, n := range l.counts {
		if seen += n; float64(seen) >= share*float64(l.total) && n > 0 {
			ms := math.Pow(growth, float64(bucket)+0.5)
			return min(l.Max, time.Duration(ms*float64(time.Millisecond)))
		}
	}
	return l.Max
}

// average is of a number over time.
type average struct {
	value int
	since time.Duration
	sum   float64 // value times seconds
}

func (a *average) set(now time.Duration, value int) {
	a.sum += float64(a.value) * (now - a.since).Seconds()
	a.value, a.since = value, now
}

// measure collects what a run is judged by.
type measure struct {
	result Result

	podTime, triggerTime average
	second               Latencies // since the last sample
	arrived, done        int       // at the last sample
}

// Sample is the state at one moment, for drawing.
type Sample struct {
	At                 time.Duration
	Pods, Ready        int
	Triggers, Backlog  int
	Arriving, Deciding float64 // events a second
	P95                time.Duration
}

// Result is what came of a run.
type Result struct {
	Arrived, Backlog int
	// Pods and Triggers are averages over time of what exists, pods that start
	// or drain too.
	Pods, Triggers      float64
	MaxPods, MaxBacklog int
	// Changes counts how often Knative changed the number of pods, Returns how
	// often it took back what it had done before, up or down, within two minutes.
	Changes, Returns int
	// Starts counts pods.
	Starts int
	// Others are the latencies of all events but the hot key's or tenant's.
	Others, Hot Latencies
	// Late is how many events waited for more than a second.
	Late int
	// ToZero is the time from the end of the traffic to no pod wanted; below
	// zero: it did not come to that.
	ToZero time.Duration
	// Database is PostgreSQL's CPU time for each event.
	Database time.Duration
	Samples  []Sample

	lastChange time.Duration
	lastUp     bool
	wanted     int
}

const returnWithin = 2 * time.Minute

func (m *measure) decided(events int, latency time.Duration, hot bool) {
	if hot {
		m.result.Hot.add(events, latency)
	} else {
		m.result.Others.add(events, latency)
	}
	m.second.add(events, latency)
	if latency > time.Second {
		m.result.Late += events
	}
}

func (m *measure) pods(now time.Duration, n int) {
	m.result.Starts += max(0, n-m.podTime.value)
	m.result.MaxPods = max(m.result.MaxPods, n)
	m.podTime.set(now, n)
}

func (m *measure) triggers(now time.Duration, n int) { m.triggerTime.set(now, n) }

func (m *measure) scaled(now time.Duration, want int) {
	r := &m.result
	up := want > r.wanted
	if r.Changes++; r.Changes > 1 && up != r.lastUp && now-r.lastChange <= returnWithin {
		r.Returns++
	}
	r.lastChange, r.lastUp, r.wanted = now, up, want
}
