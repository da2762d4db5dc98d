package outbox

import "sync/atomic"

// Stats counts what a relay did since it was made.
type Stats struct {
	Offered     int64 // claims taken right after their commit
	Forgotten   int64 // claims left to the sweeper for want of room
	Swept       int64 // rows taken by sweeps
	Finished    int64 // rows published whole and deleted
	Views       int64 // views that Redis shows
	Emitted     int64 // events put into Kafka
	DeadLetters int64 // dead letters put into Kafka
	Failed      int64 // claims of which something failed
	Rebuilt     int64 // Redis masters whose views were rebuilt
	Held        int64 // estimated bytes of claims in memory now
}

type stats struct {
	offered, forgotten, swept, finished, views, emitted, deadLetters, failed, rebuilt, held atomic.Int64
}

// Stats returns what r did.
func (r *Relay) Stats() Stats {
	s := &r.stats
	return Stats{
		Offered: s.offered.Load(), Forgotten: s.forgotten.Load(), Swept: s.swept.Load(),
		Finished: s.finished.Load(), Views: s.views.Load(), Emitted: s.emitted.Load(),
		DeadLetters: s.deadLetters.Load(), Failed: s.failed.Load(), Rebuilt: s.rebuilt.Load(), Held: s.held.Load(),
	}
}
