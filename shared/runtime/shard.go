package runtime

import (
	"cmp"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/shared/fault"
)

// request is an admitted request whose events are in the shards.
type request struct {
	arrived  time.Time
	deadline time.Time
	left     atomic.Int64
	done     chan struct{} // closed when no event is left
	failed   atomic.Pointer[error]
}

func newRequest(events int, deadline time.Time) *request {
	r := &request{arrived: time.Now(), deadline: deadline, done: make(chan struct{})}
	r.left.Store(int64(events))
	return r
}

// finish takes one event off the request.
func (r *request) finish(err error) {
	if err != nil {
		r.failed.CompareAndSwap(nil, &err)
	}
	if r.left.Add(-1) == 0 {
		close(r.done)
	}
}

// err returns why the request failed, or nil.
func (r *request) err() error {
	if failed := r.failed.Load(); failed != nil {
		return *failed
	}
	return nil
}

// shard decides the events of its entities, one transaction at a time: while
// one runs the next batch queues up, so batches grow with the load and need no
// timer.
type shard struct {
	processor *Processor
	bucket    int
	maxBatch  int
	least     time.Duration // what a transaction has at least
	admission *admission

	mu      sync.Mutex
	tenants map[string][]*candidate
	turn    []string // the tenants that have events, in the order of their turns
	closed  bool
	wake    chan struct{}
}

func newShard(p *Processor, bucket, maxBatch int, least time.Duration, a *admission) *shard {
	return &shard{processor: p, bucket: bucket, maxBatch: maxBatch, least: least, admission: a,
		tenants: map[string][]*candidate{}, wake: make(chan struct{}, 1)}
}

// put queues events, which keep their order.
func (s *shard) put(events []*candidate) {
	s.mu.Lock()
	for _, c := range events {
		tenant := tenantOf(c)
		if len(s.tenants[tenant]) == 0 {
			s.turn = append(s.turn, tenant)
		}
		s.tenants[tenant] = append(s.tenants[tenant], c)
	}
	s.mu.Unlock()
	s.signal()
}

func (s *shard) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// stop ends run once the queue is empty.
func (s *shard) stop() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.signal()
}

// run decides until it is stopped.
func (s *shard) run() {
	for {
		batch, closed := s.take()
		switch {
		case len(batch) > 0:
			s.process(batch)
		case closed:
			return
		default:
			<-s.wake
		}
	}
}

// take removes the next batch: an event of each tenant in turn, so that one
// tenant's flood does not hold up the others.
func (s *shard) take() (batch []*candidate, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(batch) < s.maxBatch && len(s.turn) > 0 {
		tenant := s.turn[0]
		s.turn = s.turn[1:]
		queue := s.tenants[tenant]
		batch = append(batch, queue[0])
		if len(queue) == 1 {
			delete(s.tenants, tenant)
			continue
		}
		queue[0] = nil
		s.tenants[tenant] = queue[1:]
		s.turn = append(s.turn, tenant)
	}
	return batch, s.closed
}

func (s *shard) process(taken []*candidate) {
	now := time.Now()
	batch := make([]*candidate, 0, len(taken))
	late := fault.New(fault.Unavailable, "the events waited past the request's deadline")
	for _, c := range taken {
		if c.request.deadline.Before(now) {
			c.request.finish(late) // nobody waits for it any more; it comes again
			continue
		}
		batch = append(batch, c)
	}
	if len(batch) > 0 {
		ctx, cancel := context.WithDeadline(context.Background(), s.deadline(batch, now))
		err := s.processor.decide(ctx, s.bucket, batch)
		cancel()
		for _, c := range batch {
			c.request.finish(cmp.Or(c.failed, err))
		}
	}
	freed := map[string]int{}
	for _, c := range taken {
		freed[tenantOf(c)]++
	}
	s.admission.release(freed)
}

// deadline is that of a transaction which begins now: the last one of its
// requests, but not too soon. One that is broken off costs its connection, with
// all that is prepared on it, so the next takes longer, and under load none would
// ever end. What nobody waits for any more comes again, and is decided then.
func (s *shard) deadline(batch []*candidate, now time.Time) time.Time {
	last := now.Add(s.least)
	for _, c := range batch {
		if c.request.deadline.After(last) {
			last = c.request.deadline
		}
	}
	return last
}
