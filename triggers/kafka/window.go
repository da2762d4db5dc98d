package kafka

import (
	"context"
	"sync"
)

// window holds what was read and is not yet marked. It is the one place where
// records change state: read -> waiting in a lane -> flying in a request -> done
// -> marked. Its lock is held for moments only, never over I/O.
type window struct {
	limits limits

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

// flight is one attempt to hand records over; cancel ends it early.
type flight struct {
	records []*record
	cancel  context.CancelFunc
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

// begin starts an attempt with those of the records that are still ours and
// whose turn it is. The others are dropped: their partition's next owner has
// them, or their lane. Until the flight lands a revocation waits for it.
func (w *window) begin(records []*record, cancel context.CancelFunc) *flight {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := &flight{records: w.keep(records), cancel: cancel}
	for _, r := range f.records {
		r.claim.flying++
	}
	w.flights[f] = struct{}{}
	return f
}

// land ends a flight and marks what it got done, with all that waited in its
// partition for it. In that order: a revocation waits for the flight, and
// nothing is marked after it.
func (w *window) land(f *flight, done []*record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finish(done)
	delete(w.flights, f)
	for _, r := range f.records {
		if r.claim.flying--; r.claim.flying == 0 && r.claim.revoked {
			r.claim.landed()
		}
	}
}

func (w *window) finish(records []*record) {
	claims := map[*claim]struct{}{}
	for _, r := range records {
		w.release(r)
		if r.claim.gone {
			continue
		}
		claims[r.claim] = struct{}{}
		r.done = true
		r.msg, r.event = nil, nil
		r.claim.bytes -= r.size
		w.bytes -= r.size
	}
	for c := range claims {
		w.events -= c.mark()
	}
	w.resume()
}

// live drops the records that are no longer ours, and tells which channel
// announces the next revocation.
func (w *window) live(records []*record) ([]*record, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.keep(records), w.revoked
}

func (w *window) keep(records []*record) []*record {
	kept := records[:0]
	for _, r := range records {
		switch {
		case r.claim.revoked:
		case r.lane != nil && !r.alone && r.taken < r.lane.last().isolated:
			w.putBack(r)
		default:
			kept = append(kept, r)
		}
	}
	return kept
}

// putBack returns a record to its lane: one that it must follow went into a
// cell after the two had left the lane together.
func (w *window) putBack(r *record) {
	l := r.lane.last()
	l.flying--
	l.insert(r)
	w.offer(l)
}

// isolate keeps the record's lane waiting for it, though its batch goes on.
func (w *window) isolate(r *record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r.alone = true
	w.isolations++
	r.lane.last().isolated = w.isolations
}

// leaveLane lets the lane of a record fly on without it.
func (w *window) leaveLane(r *record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.release(r)
}

func (w *window) release(r *record) {
	if r.lane == nil || r.claim.gone {
		return
	}
	l := r.lane.last()
	r.lane = nil
	r.claim.leave(r)
	l.flying--
	w.offer(l)
}

// close ends take.
func (w *window) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.work.Broadcast()
}
