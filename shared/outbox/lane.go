package outbox

import (
	"context"
	"sync"
)

// lane does one part of claims: all that queued up at a time.
type lane struct {
	do    func(context.Context, []*work) error
	takes func(*work) bool

	mu     sync.Mutex
	queue  []*passage
	closed bool
	wake   chan struct{}
}

func newLane(do func(context.Context, []*work) error, takes func(*work) bool) *lane {
	return &lane{do: do, takes: takes, wake: make(chan struct{}, 1)}
}

func (l *lane) put(passed ...*passage) {
	l.mu.Lock()
	l.queue = append(l.queue, passed...)
	l.mu.Unlock()
	l.signal()
}

// close ends the lane once its queue is empty.
func (l *lane) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.signal()
}

func (l *lane) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// next waits for claims; none means that the lane is closed.
func (l *lane) next() []*passage {
	for {
		l.mu.Lock()
		batch, closed := l.queue, l.closed
		l.queue = nil
		l.mu.Unlock()
		if len(batch) > 0 || closed {
			return batch
		}
		<-l.wake
	}
}
