package kafka

import (
	"context"
)

// flight is one attempt to hand records over; cancel ends it early.
type flight struct {
	records []*record
	cancel  context.CancelFunc
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
		w.trace(r)
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
