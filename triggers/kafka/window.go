package kafka

import (
	"sync"

	"github.com/millrace/millrace/shared/trace"
)

// window holds what was read and is not yet marked. It is the one place where
// records change state: read -> waiting in a lane -> flying in a request -> done
// -> marked. Its lock is held for moments only, never over I/O.
type window struct {
	limits limits
	tracer *trace.Tracer

	mu      sync.Mutex
	work    sync.Cond // a lane became ready, or closed
	ready   []*lane
	closed  bool
	claims  map[*claim]struct{}
	events  int // read and not marked
	bytes   int // read and not done
	flights map[*flight]struct{}
	// isolations counts events that went into cells; it dates records and lanes.
	isolations int
	revoked    chan struct{} // closed and replaced at each revocation
}

// limits are those of Config.
type limits struct {
	batchEvents, batchBytes   int
	windowEvents, windowBytes int
}

func newWindow(l limits) *window {
	w := &window{
		limits:  l,
		claims:  map[*claim]struct{}{},
		flights: map[*flight]struct{}{},
		revoked: make(chan struct{}),
	}
	w.work.L = &w.mu
	return w
}

// add takes a record in. One that is an event goes to the end of its lane.
func (w *window) add(r *record, e entity) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := r.claim
	c.records = append(c.records, r)
	c.next = r.offset + 1
	c.events++
	c.bytes += r.size
	w.events++
	w.bytes += r.size
	if r.event != nil {
		w.offer(c.enter(r, e))
	}
	if !c.paused && !w.room(c) {
		c.paused = true
		c.pause()
	}
}

// offer puts a lane that can fly into the ready list.
func (w *window) offer(l *lane) {
	if l.queued || l.flying > 0 || len(l.waiting) == 0 {
		return
	}
	l.queued = true
	w.ready = append(w.ready, l)
	w.work.Signal()
}

// take waits for work and returns a batch: all that queued up in the lanes that
// are ready, up to the limits. There is no batching timer: at low load a batch
// is one event, at once; under load it is what arrived while the requests before
// it ran. It returns nil once the window is closed.
func (w *window) take() []*record {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		if batch := w.collect(); batch != nil || w.closed {
			return batch
		}
		w.work.Wait()
	}
}

func (w *window) collect() (batch []*record) {
	for bytes := 0; len(w.ready) > 0; {
		var full bool
		if batch, bytes, full = w.board(batch, bytes, w.ready[0]); full {
			break
		}
		w.ready[0].queued = false
		w.ready = w.ready[1:]
	}
	return batch
}

// board moves waiting records of the lane into the batch; full tells that some
// had to stay behind although the lane could fly.
func (w *window) board(batch []*record, bytes int, l *lane) ([]*record, int, bool) {
	if l.into != nil || l.flying > 0 || len(l.waiting) == 0 || l.waiting[0].claim.revoked {
		return batch, bytes, false
	}
	n := 0
	for ; n < len(l.waiting); n++ {
		size := len(l.waiting[n].event) + 1
		if len(batch)+n >= w.limits.batchEvents || len(batch)+n > 0 && bytes+size > w.limits.batchBytes {
			break
		}
		bytes += size
	}
	for _, r := range l.waiting[:n] {
		r.taken = w.isolations
		batch = append(batch, r)
	}
	l.waiting = l.waiting[n:]
	l.flying += n
	return batch, bytes, n == 0
}

// close ends take.
func (w *window) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.work.Broadcast()
}
