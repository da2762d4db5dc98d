package traffic

// Expected counts records, and what has to come of them once the traffic has
// ended and all is at rest.
type Expected struct {
	Records int
	// Types counts distinct events by type.
	Types map[string]int
	// Decided are the distinct events that are applied or refused. Refused ones
	// are only among those that came before what they name: where there are no
	// sequences to mend that, or where the two are of different sources.
	Decided int
	// Parked are those that wait for ever, for one that is lost.
	Parked int
	// Lost are events that never came: each is an open gap in its stream, if
	// anything follows in it.
	Lost int
	// Emitted are the events that trades lead to, if every one is applied.
	Emitted int
	// Duplicates are records of events that came before.
	Duplicates int
	// Poison counts records that become dead letters, by kind.
	Poison map[string]int
	// Reordered and Late are distinct events that others overtook.
	Reordered, Late int
}

// Distinct is how many distinct events there are.
func (e *Expected) Distinct() int { return e.Decided + e.Parked }

// Poisoned is how much poison there is.
func (e *Expected) Poisoned() int {
	sum := 0
	for _, n := range e.Poison {
		sum += n
	}
	return sum
}

// follow is how many events a trade leads to: a fill and an entry; an amended
// one also the reversal of the entry before.
var follow = map[string]int{"trade.executed.v1": 2, "trade.amended.v1": 3, "trade.cancelled.v1": 2}

func (e *Expected) count(d *delivery) {
	e.Records++
	switch d.record.Kind {
	case Duplicate:
		e.Duplicates++
	case Poison:
		e.Poison[d.record.Poison]++
	case Meant:
		e.Types[d.record.Event.Type]++
		switch {
		case d.reordered:
			e.Reordered++
		case d.late:
			e.Late++
		}
		if d.record.Parked {
			e.Parked++
			return
		}
		e.Decided++
		e.Emitted += follow[d.record.Event.Type]
	}
}
