package autoscaling

import (
	"container/heap"
	"time"
)

// epoch is when virtual time starts: a Monday, at midnight.
var epoch = time.Date(2026, time.January, 5, 0, 0, 0, 0, time.UTC)

// clock is virtual time. What is due at the same moment runs in the order in
// which it was entered: that makes a run repeatable.
type clock struct {
	now     time.Duration // since epoch
	entered int
	due     agenda
}

type appointment struct {
	at    time.Duration
	order int
	do    func()
}

func (c *clock) time() time.Time { return epoch.Add(c.now) }

func (c *clock) after(d time.Duration, do func()) {
	c.entered++
	heap.Push(&c.due, appointment{c.now + max(0, d), c.entered, do})
}

// every calls do after each period, for as long as the clock runs.
func (c *clock) every(period time.Duration, do func()) {
	c.after(period, func() {
		do()
		c.every(period, do)
	})
}

func (c *clock) run(until time.Duration) {
	for len(c.due) > 0 && c.due[0].at <= until {
		next, _ := heap.Pop(&c.due).(appointment)
		c.now = next.at
		next.do()
	}
	c.now = until
}

// agenda is a heap of appointments, the earliest first.
type agenda []appointment

func (a *agenda) Len() int      { return len(*a) }
func (a *agenda) Swap(i, j int) { (*a)[i], (*a)[j] = (*a)[j], (*a)[i] }
func (a *agenda) Less(i, j int) bool {
	x, y := &(*a)[i], &(*a)[j]
	if x.at != y.at {
		return x.at < y.at
	}
	return x.order < y.order
}

// Push is container/heap's.
func (a *agenda) Push(x any) {
	if next, ok := x.(appointment); ok {
		*a = append(*a, next)
	}
}

// Pop is container/heap's.
func (a *agenda) Pop() any {
	last := len(*a) - 1
	next := (*a)[last]
	(*a)[last] = appointment{}
	*a = (*a)[:last]
	return next
}
