package kafka

import "time"

// claim is one partition while this process owns it. All but its reader's own
// fields are guarded by the window's lock.
type claim struct {
	topic     string
	partition int32
	marker    func(next int64) // marks the offset of the next record to read
	pause     func()
	resume    func()
	end       func() int64 // offset of the next record that will be written
	next      int64        // offset of the next record to read; negative until it is known

	records []*record // read and not marked, in the order of their offsets
	keys    map[string]*laneKey
	events  int
	bytes   int
	flying  int // records in attempts under way
	paused  bool
	scratch []byte

	// revoked: the partition is about to go; nothing of it takes off any more.
	// What flies may still land and be marked.
	revoked bool
	// gone: the partition is no longer ours; nothing is marked any more.
	gone    bool
	landing chan struct{} // closed when revoked and nothing flies
}

func newClaim(topic string, partition int32) *claim {
	return &claim{
		topic: topic, partition: partition,
		marker: func(int64) {}, pause: func() {}, resume: func() {}, end: func() int64 { return 0 },
		next: -1,
		keys: map[string]*laneKey{}, landing: make(chan struct{}),
	}
}

// open makes the window know the claim.
func (w *window) open(c *claim) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.claims[c] = struct{}{}
}

// mark moves the mark to the first record that is not done, and returns how
// many records left the window by it. This is the trigger's commit point: an
// offset that Kafka has committed never comes again, so that it and all before
// it must be in the effects, parked or dead letters by now. A crash before the
// commit repeats records, and the function knows them.
func (c *claim) mark() int {
	n := 0
	for n < len(c.records) && c.records[n].done {
		n++
	}
	if n == 0 || c.gone {
		return 0
	}
	next := c.records[n-1].offset + 1
	clear(c.records[:n])
	c.records = c.records[n:]
	c.events -= n
	c.marker(next)
	return n
}

// lag returns how many records are not marked, as far as Kafka told.
func (c *claim) lag() int64 {
	first := c.next
	if len(c.records) > 0 {
		first = c.records[0].offset
	}
	if first < 0 {
		return 0
	}
	return max(0, c.end()-first)
}

// oldest returns the age of the first record that is not marked.
func (c *claim) oldest(now time.Time) time.Duration {
	if len(c.records) == 0 || c.records[0].at.IsZero() {
		return 0
	}
	return max(0, now.Sub(c.records[0].at))
}

func (c *claim) landed() {
	select {
	case <-c.landing:
	default:
		close(c.landing)
	}
}

// revoke gives the claim up. Records that wait are dropped. Those in attempts
// under way have the grace time to land, and are marked if they do; then the
// attempts are cut off. When it returns, nothing of the claim is marked any
// more: the partition may have another owner, or be ours again under another
// claim.
func (w *window) revoke(c *claim, grace time.Duration) {
	w.mu.Lock()
	c.revoked = true
	close(w.revoked)
	w.revoked = make(chan struct{})
	if c.flying == 0 {
		c.landed()
	}
	w.mu.Unlock()

	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-c.landing:
	case <-timer.C:
	}
	w.abandon(c)
}

func (w *window) abandon(c *claim) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.gone = true
	for f := range w.flights {
		for _, r := range f.records {
			if r.claim == c {
				f.cancel()
				break
			}
		}
	}
	w.events -= c.events
	w.bytes -= c.bytes
	delete(w.claims, c)
	if c.paused {
		c.resume() // sarama would remember the pause for the next claim
	}
	w.resume()
}
