package runtime

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/millrace/millrace/shared/fault"
)

// admission bounds how many events are in the process. A request waits for
// room in the order of arrival, but one that its own tenant's share holds up
// does not hold up other tenants. It is admitted whole, or, when its time to
// wait is over, not at all: an instant refusal would lower the concurrency that
// Knative scales by, just when it should scale up.
type admission struct {
	capacity int // events
	share    int // events of one tenant

	mu       sync.Mutex
	closed   bool // no room at all: too much is still to be told
	used     int
	byTenant map[string]int
	waiters  []*waiter // in the order of arrival
}

type waiter struct {
	demand demand
	ready  chan struct{}
}

// demand is how many events a request has, by tenant.
type demand struct {
	total    int
	byTenant map[string]int
}

// any tells whether one of its tenants is among them.
func (d demand) any(tenants map[string]bool) bool {
	for tenant := range d.byTenant {
		if tenants[tenant] {
			return true
		}
	}
	return false
}

func newAdmission(capacity, sharePercent int) *admission {
	return &admission{
		capacity: capacity,
		share:    max(1, capacity*min(sharePercent, 100)/100),
		byTenant: map[string]int{},
	}
}

// acquire waits for room for d until ctx ends.
func (a *admission) acquire(ctx context.Context, d demand) error {
	a.mu.Lock()
	w := &waiter{demand: d, ready: make(chan struct{})}
	a.waiters = append(a.waiters, w)
	a.admit()
	a.mu.Unlock()
	started := time.Now()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-w.ready: // admitted in the same moment
		return nil
	default:
	}
	a.waiters = slices.DeleteFunc(a.waiters, func(o *waiter) bool { return o == w })
	a.admit() // it may have stood in others' way
	return fault.New(fault.Overloaded, "no room for %d events in %v", d.total, time.Since(started).Round(time.Millisecond))
}

// release gives back the room of the events of tenants.
func (a *admission) release(tenants map[string]int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for tenant, n := range tenants {
		a.used -= n
		if a.byTenant[tenant] -= n; a.byTenant[tenant] == 0 {
			delete(a.byTenant, tenant)
		}
	}
	a.admit()
}

// setClosed closes or opens intake.
func (a *admission) setClosed(closed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = closed
	a.admit()
}

func (a *admission) admit() {
	var still []*waiter
	held := map[string]bool{} // tenants whose share somebody waits for
	for n, w := range a.waiters {
		over := a.overShare(w.demand)
		switch {
		case len(over) > 0 || w.demand.any(held): // others may pass, but none of these tenants
			for _, tenant := range over {
				held[tenant] = true
			}
			still = append(still, w)
		case a.fitsTotal(w.demand):
			a.take(w.demand)
			close(w.ready)
		default: // who comes later must not take the room it waits for
			a.waiters = append(still, a.waiters[n:]...)
			return
		}
	}
	a.waiters = still
}

func (a *admission) take(d demand) {
	a.used += d.total
	for tenant, n := range d.byTenant {
		a.byTenant[tenant] += n
	}
}

// fitsTotal lets a request that is larger than the whole in when it is alone.
func (a *admission) fitsTotal(d demand) bool {
	return !a.closed && (a.used == 0 || a.used+d.total <= a.capacity)
}

// overShare returns the tenants whose share has no room for d. One that has
// nothing in the process may exceed its share.
func (a *admission) overShare(d demand) (tenants []string) {
	for tenant, n := range d.byTenant {
		if has := a.byTenant[tenant]; has > 0 && has+n > a.share {
			tenants = append(tenants, tenant)
		}
	}
	return tenants
}

// inUse returns how many events have room.
func (a *admission) inUse() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.used
}

// isClosed returns 1 while intake is closed.
func (a *admission) isClosed() float64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return 1
	}
	return 0
}
