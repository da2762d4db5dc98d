package autoscaling

import (
	"math"
	"math/rand/v2"
	"time"
)

// Cost is the time that a transaction takes somewhere.
type Cost struct {
	Fixed, PerEvent time.Duration
}

func (c Cost) of(events int) time.Duration {
	return c.Fixed + time.Duration(events)*c.PerEvent
}

// Spread is a log-normal distribution, by its median and its 95th percentile.
type Spread struct {
	P50, P95 time.Duration
}

func (s Spread) sample(random *rand.Rand) time.Duration {
	const z95 = 1.645
	sigma := math.Log(float64(s.P95)/float64(s.P50)) / z95
	return time.Duration(float64(s.P50) * math.Exp(sigma*random.NormFloat64()))
}

// Model is what a run knows of the platform beside the autoscaler's settings.
type Model struct {
	// Function and Database are the CPU time of one transaction in the function's
	// process and in PostgreSQL; Wait is what passes in it beside: the disk, the
	// network, the scheduler.
	Function, Database Cost
	Wait               time.Duration
	// Cores is how many PostgreSQL has, for all pods together.
	Cores float64
	// Jitter is the relative deviation of a transaction's time.
	Jitter float64

	// Shards and MaxBatch are a function's SHARDS and MAX_BATCH.
	Shards, MaxBatch int
	// ColdStart is the time from the decision for a pod until it is ready.
	ColdStart Spread
	// Drain is how long a pod lives on after it was told to go, idle or not:
	// queue-proxy's wait for the network to have heard of it.
	Drain time.Duration

	// Partitions of the topic.
	Partitions int
	// BatchEvents, InFlight and WindowEvents are a trigger's BATCH_MAX_EVENTS,
	// MAX_IN_FLIGHT and WINDOW_EVENTS.
	BatchEvents, InFlight, WindowEvents int
	// Trigger is the CPU time of one request in the trigger, which has one core.
	Trigger Cost
	// Join is what a new trigger needs to own partitions once its pod runs.
	Join time.Duration
}

// Measured is the platform as docs/performance.md has it, with PostgreSQL on
// eight cores of its own, which nobody has measured. A transaction with one
// trade costs 2 ms of CPU (PostgreSQL 1.4), one with a hundred 0.22 (0.13) for
// each; the two points give the fixed part and the part for each event.
func Measured() Model {
	return Model{
		Function: Cost{515 * time.Microsecond, 85 * time.Microsecond},
		Database: Cost{1284 * time.Microsecond, 116 * time.Microsecond},
		Wait:     5 * time.Millisecond, // so that one event at a low rate takes 7 ms
		Cores:    8,
		Jitter:   0.2,

		Shards: 2, MaxBatch: 1000,
		ColdStart: Spread{1500 * time.Millisecond, 1750 * time.Millisecond},
		Drain:     30 * time.Second,

		Partitions:  10,
		BatchEvents: 500, InFlight: 4, WindowEvents: 10000,
		Trigger: Cost{100 * time.Microsecond, 33 * time.Microsecond},
		Join:    3 * time.Second, // Kafka's group.initial.rebalance.delay.ms
	}
}
