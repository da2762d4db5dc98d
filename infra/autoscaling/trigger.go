package autoscaling

import "time"

// trigger is a batch trigger, triggers/kafka: it reads its partitions into a
// window and posts what is ready, with a few requests in flight.
type trigger struct {
	*group

	claims []*partition
	ready  []ready
	flying int
	free   time.Duration // when its CPU is free
	gone   bool
}

// ready is a place in the line for the next request: events of a chunk, or the
// hot key of a partition.
type ready struct {
	partition *partition
	chunk     *chunk // nil: the hot key
}

// request is a batch under way to a function.
type request struct {
	trigger *trigger
	parts   []part
	events  int
	hot     int
	undone  int
	pod     *pod
}

type part struct {
	partition *partition
	chunk     *chunk
	events    int
}

// fetch reads what the window has room for.
func (t *trigger) fetch(p *partition) {
	for len(p.unread) > 0 && t.room(p) {
		c := p.unread[0]
		p.unread = p.unread[1:]
		p.read = append(p.read, c)
		p.held += c.events
		if c.hot {
			p.hot.waiting = append(p.hot.waiting, c)
			t.offer(p)
			continue
		}
		t.ready = append(t.ready, ready{p, c})
	}
	t.post()
}

// room is the rule of triggers/kafka/room.go: half of the window is shared by
// whoever comes first, and of the other half each partition has its part.
func (t *trigger) room(p *partition) bool {
	own := t.model.WindowEvents / 2 / len(t.claims)
	shared := 0
	for _, other := range t.claims {
		shared += max(0, other.held-own)
	}
	return p.held < own || shared < t.model.WindowEvents-own*len(t.claims)
}

// offer puts the hot key in line, unless a request has events of it.
func (t *trigger) offer(p *partition) {
	if l := &p.hot; !l.flying && !l.queued && len(l.waiting) > 0 {
		l.queued = true
		t.ready = append(t.ready, ready{p, nil})
	}
}

// post sends requests while there is work and fewer than InFlight are under way.
func (t *trigger) post() {
	for !t.gone && t.flying < t.model.InFlight && len(t.ready) > 0 {
		r := t.fill()
		t.flying++
		t.free = max(t.free, t.clock.now) + t.model.Trigger.of(r.events)
		t.clock.after(t.free-t.clock.now, func() { t.service.take(r) })
	}
}

// fill takes what is ready, in its order, up to a full batch.
func (t *trigger) fill() *request {
	r := &request{trigger: t}
	for len(t.ready) > 0 && r.events < t.model.BatchEvents {
		next := t.ready[0]
		if next.chunk == nil {
			t.ready = t.ready[1:]
			t.fillHot(r, next.partition)
			continue
		}
		r.add(next.partition, next.chunk, t.model.BatchEvents)
		if next.chunk.unsent == 0 {
			t.ready = t.ready[1:]
		}
	}
	r.undone = r.events
	return r
}

func (t *trigger) fillHot(r *request, p *partition) {
	l := &p.hot
	l.queued, l.flying = false, true
	for len(l.waiting) > 0 && r.events < t.model.BatchEvents {
		r.hot += r.add(p, l.waiting[0], t.model.BatchEvents)
		if l.waiting[0].unsent == 0 {
			l.waiting = l.waiting[1:]
		}
	}
}

func (r *request) add(p *partition, c *chunk, limit int) int {
	n := min(c.unsent, limit-r.events)
	c.unsent -= n
	r.events += n
	r.parts = append(r.parts, part{p, c, n})
	return n
}

// answered is called when the function has committed all of the request.
func (t *trigger) answered(r *request) {
	t.flying--
	for _, part := range r.parts {
		part.chunk.undone -= part.events
		t.topic.done += part.events
		t.measure.decided(part.events, t.clock.now-part.chunk.at, part.chunk.hot || part.chunk.flood)
		part.partition.hot.flying = part.partition.hot.flying && !part.chunk.hot
	}
	for _, part := range r.parts {
		part.partition.mark()
		part.partition.proceed()
	}
	t.post()
}

// proceed lets the partition's owner, which may be another by now, go on.
func (p *partition) proceed() {
	if p.owner != nil {
		p.owner.offer(p)
		p.owner.fetch(p)
	}
}
