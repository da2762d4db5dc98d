package binding

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// room is the bytes of requests that may be in the process at once. A request
// takes its share as its body comes, so half of it may be here when the room is
// full; so that not all wait for each other then, a reserve, enough for any
// request, is kept for one of them at a time.
type room struct {
	mu       sync.Mutex
	free     int64 // without the reserve
	reserved bool  // somebody has the reserve
	waiting  list.List
}

// share is what one request holds of a room.
type share struct {
	held    int64
	reserve bool // more is covered, up to the largest request
}

type waiter struct {
	share   *share
	bytes   int64
	granted chan struct{}
}

func newRoom(bytes, largest int64) *room { return &room{free: bytes - largest} }

// Waiting returns a context for a wait for room: it ends when half of the time is
// over that ctx has left. Who gets room later is begun in vain and holds up those
// behind, who then come too late too: in step, and for as long as too many come.
func Waiting(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/2)
}

// take adds bytes to a share. Where there is no room it waits its turn, until
// ctx ends.
func (r *room) take(ctx context.Context, s *share, bytes int64) error {
	if s.reserve || bytes <= 0 {
		return nil
	}
	w := &waiter{s, bytes, make(chan struct{})}
	r.mu.Lock()
	place := r.waiting.PushBack(w)
	r.grant()
	r.mu.Unlock()
	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-w.granted: // meanwhile
		return nil
	default:
	}
	r.waiting.Remove(place)
	r.grant() // who waited behind it may need less
	return ctx.Err()
}

// give returns a whole share.
func (r *room) give(s *share) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.free += s.held
	if s.reserve {
		r.reserved = false
	}
	*s = share{}
	r.grant()
}

// grant lets in those who wait, in their order.
func (r *room) grant() {
	for first := r.waiting.Front(); first != nil; first = r.waiting.Front() {
		w := first.Value.(*waiter) //nolint:errcheck,forcetypeassert // nothing else is in it
		switch {
		case w.bytes <= r.free:
			r.free -= w.bytes
			w.share.held += w.bytes
		case !r.reserved:
			r.reserved, w.share.reserve = true, true
		default:
			return
		}
		r.waiting.Remove(first)
		close(w.granted)
	}
}
