package autoscaling

import "time"

// chunk is events of one partition that arrived together: of as many entities,
// or all of the one hot key.
type chunk struct {
	at     time.Duration
	events int
	unsent int
	undone int
	hot    bool
	flood  bool // all of the hot tenant
}

// partition of the topic, with what its trigger has read of it.
type partition struct {
	unread []*chunk // in Kafka only
	read   []*chunk // in the window, in order: the first is not done
	lag    int      // events that are not marked
	held   int      // those of them in the window
	owner  *trigger
	hot    lane
}

// lane is the queue of the hot key: one request at a time has events of it.
type lane struct {
	waiting []*chunk
	flying  bool
	queued  bool // in its trigger's ready list
}

// topic takes what arrives, and knows what is not done.
type topic struct {
	clock      *clock
	partitions []*partition
	turn       int
	arrived    int
	done       int
}

func newTopic(c *clock, partitions int) *topic {
	t := &topic{clock: c}
	for range partitions {
		t.partitions = append(t.partitions, &partition{})
	}
	return t
}

// arrive spreads events over the partitions, those of the hot tenant too; those
// of the hot key are all in the first.
func (t *topic) arrive(events, hot, flood int) {
	t.arrived += events + hot + flood
	t.spread(events, false)
	t.spread(flood, true)
	t.partitions[0].append(chunk{at: t.clock.now, events: hot, hot: true})
}

func (t *topic) spread(events int, flood bool) {
	n := len(t.partitions)
	for i := range n {
		share := events / n
		if (i-t.turn%n+n)%n < events%n {
			share++
		}
		t.partitions[i].append(chunk{at: t.clock.now, events: share, flood: flood})
	}
	t.turn += events % n
}

func (p *partition) append(c chunk) {
	if c.events == 0 {
		return
	}
	p.lag += c.events
	c.unsent, c.undone = c.events, c.events
	p.unread = append(p.unread, &c)
	if p.owner != nil {
		p.owner.fetch(p)
	}
}

// mark takes what is done off the front of the window: an offset is marked only
// when all before it are.
func (p *partition) mark() {
	for len(p.read) > 0 && p.read[0].undone == 0 {
		p.held -= p.read[0].events
		p.lag -= p.read[0].events
		p.read = p.read[1:]
	}
}

// backlog is how many events are not decided.
func (t *topic) backlog() int { return t.arrived - t.done }

// lag is what Kafka tells of the group: events whose offsets are not marked.
func (t *topic) lag() int {
	lag := 0
	for _, p := range t.partitions {
		lag += p.lag
	}
	return lag
}
