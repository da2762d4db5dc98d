package outbox

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/shared/postgres"
)

// offered holds the claims that were offered until they are published. Redis,
// Kafka and draining each have a lane: a lane takes all that queued up while
// it was busy, and one that is held up does not hold up the others. When every
// lane is through with a claim, the last lane takes it out of the outbox.
type offered struct {
	relay  *Relay
	lanes  []*lane // in the order of laneOf
	finish *lane

	mu       sync.Mutex
	passages map[*passage]struct{}
	held     int // bytes
	closed   bool
}

// passage is an offered claim on its way through the lanes.
type passage struct {
	*work
	size int
	left atomic.Int32 // lanes that are not through with it
}

func newOffered(r *Relay) *offered {
	o := &offered{relay: r, passages: map[*passage]struct{}{}}
	o.lanes = []*lane{
		newLane(o.unless(r.redisOut, r.show), (*work).hasViews),
		newLane(o.unless(r.kafkaOut, r.send), (*work).hasRecords),
		newLane(r.drain, func(w *work) bool { return len(w.Drain) > 0 }),
	}
	o.finish = newLane(r.finish, nil)
	return o
}

// unless leaves claims alone while the other side is known to be out of reach.
// They go on through the lanes and, since nothing of that part was done, stay
// in the outbox.
func (o *offered) unless(out *outage, do func(context.Context, []*work) error) func(context.Context, []*work) error {
	return func(ctx context.Context, works []*work) error {
		if out.waiting() {
			return nil
		}
		return do(ctx, works)
	}
}

// Offer takes a claim right after its commit. It never blocks: a claim that
// finds no room is forgotten here, and lies in the outbox for the sweeper. So
// does everything that was offered when the process crashes.
func (r *Relay) Offer(c Claim) {
	r.stats.offered.Add(1)
	c.committed = time.Now()
	p := &passage{work: newWork(&c)}
	p.size = p.work.size()
	if !r.queue.enter(p) {
		r.stats.forgotten.Add(1)
	}
}

func (o *offered) enter(p *passage) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || o.held+p.size > o.relay.cfg.QueueBytes {
		return false
	}
	o.held += p.size
	o.passages[p] = struct{}{}
	o.relay.stats.held.Store(int64(o.held))
	lanes := make([]*lane, 0, len(o.lanes))
	for _, l := range o.lanes {
		if l.takes(p.work) {
			lanes = append(lanes, l)
		}
	}
	p.left.Store(int32(len(lanes)))
	for _, l := range lanes {
		l.put(p)
	}
	if len(lanes) == 0 {
		o.finish.put(p)
	}
	return true
}

func (o *offered) leave(passed []*passage) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range passed {
		o.held -= p.size
		delete(o.passages, p)
		if !p.done() {
			o.relay.stats.failed.Add(1)
		}
	}
	o.relay.stats.held.Store(int64(o.held))
}

// Run publishes offered claims as they come, until ctx ends; then it goes on
// with those that it has for the grace period, and leaves the rest to the
// sweeper. It is called once.
func (r *Relay) Run(ctx context.Context) {
	working, stop := withGrace(ctx, r.cfg.Grace)
	defer stop()
	o := r.queue
	var lanes, last, keeper sync.WaitGroup
	for _, l := range o.lanes {
		lanes.Go(func() { o.run(working, l, o.through) })
	}
	last.Go(func() { o.run(working, o.finish, o.leave) })
	keeping, letGo := context.WithCancel(working)
	keeper.Go(func() { r.keeping(keeping) })

	<-ctx.Done()
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	for _, l := range o.lanes {
		l.close()
	}
	lanes.Wait()
	o.finish.close()
	last.Wait()
	letGo()
	keeper.Wait()
}

// run passes claims through a lane until it is closed and empty.
func (o *offered) run(ctx context.Context, l *lane, then func([]*passage)) {
	for {
		batch := l.next()
		if len(batch) == 0 {
			return
		}
		works := make([]*work, len(batch))
		for n, p := range batch {
			works[n] = p.work
		}
		err := l.do(ctx, works)
		if err != nil && !IsUnreachable(err) {
			o.relay.log.Warn("claims stay in the outbox", "claims", len(works), "error", postgres.Redact(err.Error()))
		}
		then(batch)
	}
}

// through hands on the claims that no other lane has to see.
func (o *offered) through(batch []*passage) {
	var all []*passage
	for _, p := range batch {
		if p.left.Add(-1) == 0 {
			all = append(all, p)
		}
	}
	o.finish.put(all...)
}

// withGrace returns a context that ends a while after ctx does.
func withGrace(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	working, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return working, func() {
		stop()
		cancel()
	}
}
