package kafka

// room tells whether a partition may go on fetching. Half of the window is
// shared by whoever comes first; of the other half each partition has a part of
// its own, so that one whose sink is stuck can't stop the others.
func (w *window) room(c *claim) bool {
	share := func(limit int) int { return limit / 2 / max(1, len(w.claims)) }
	return w.fits(share(w.limits.windowEvents), w.limits.windowEvents, c, func(c *claim) int { return c.events }) &&
		w.fits(share(w.limits.windowBytes), w.limits.windowBytes, c, func(c *claim) int { return c.bytes })
}

func (w *window) fits(own, limit int, c *claim, held func(*claim) int) bool {
	if held(c) < own {
		return true
	}
	shared := 0
	for other := range w.claims {
		shared += max(0, held(other)-own)
	}
	return shared < limit-own*len(w.claims)
}

// resume lets partitions fetch again once there is room for them.
func (w *window) resume() {
	for c := range w.claims {
		if c.paused && w.room(c) {
			c.paused = false
			c.resume()
		}
	}
}
