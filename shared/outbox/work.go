package outbox

import (
	"github.com/google/uuid"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/views"
)

// work is a claim that is being published, and what of it is still to be
// done. Each part of rest is written by whoever does that part, and all of it
// read once all are through.
type work struct {
	*Claim
	rest rest
	// shownAt is the epoch in which the views that are done were shown.
	shownAt epoch
}

// rest is what is left of a claim: at first everything, at last, if all went
// well, nothing. It only ever loses elements.
type rest struct {
	entities    []Entity
	aggregates  []Aggregate
	emitted     []*event.Event
	deadLetters []uuid.UUID
	drain       []Stream
}

func newWork(c *Claim) *work {
	return &work{Claim: c, rest: rest{
		entities: c.Entities, aggregates: c.Aggregates, emitted: c.Emitted,
		deadLetters: c.DeadLetters, drain: c.Drain,
	}}
}

func newWorks(claims []Claim) []*work {
	works := make([]*work, len(claims))
	for n := range claims {
		works[n] = newWork(&claims[n])
	}
	return works
}

// done reports whether the whole claim is published.
func (w *work) done() bool {
	return len(w.rest.entities) == 0 && len(w.rest.aggregates) == 0 && len(w.rest.emitted) == 0 &&
		len(w.rest.deadLetters) == 0 && len(w.rest.drain) == 0
}

// Which parts got smaller.
func (w *work) dirtyLess() bool {
	return len(w.rest.entities) < len(w.Entities) || len(w.rest.aggregates) < len(w.Aggregates)
}
func (w *work) emittedLess() bool     { return len(w.rest.emitted) < len(w.Emitted) }
func (w *work) deadLettersLess() bool { return len(w.rest.deadLetters) < len(w.DeadLetters) }
func (w *work) drainLess() bool       { return len(w.rest.drain) < len(w.Drain) }

func (w *work) progress() bool {
	return w.dirtyLess() || w.emittedLess() || w.deadLettersLess() || w.drainLess()
}

func (w *work) hasViews() bool { return len(w.Entities) > 0 || len(w.Aggregates) > 0 }
func (w *work) hasRecords() bool {
	return len(w.Emitted) > 0 || len(w.DeadLetters) > 0
}

// size estimates the memory that the claim holds, in bytes.
func (w *work) size() int {
	const each = 512 // of a view, an event's attributes, a name
	n := each * (1 + len(w.Views) + len(w.Entities) + len(w.Aggregates) + len(w.Emitted) + len(w.DeadLetters) + len(w.Drain))
	for _, v := range w.Views {
		n += views.Bytes(v)
	}
	for k, e := range w.Emitted {
		n += len(e.Data)
		if k < len(w.encoded) {
			n += len(w.encoded[k])
		}
	}
	return n
}

// shown notes that views of the claim are done in an epoch. Of several epochs
// the first one counts: see finish.
func (w *work) shown(at epoch) {
	if !w.shownAt.Valid || at.number() < w.shownAt.number() {
		w.shownAt = at
	}
}

// without returns those of all that are not done, asking once about each, in
// their order.
func without[T any](all []T, done func(T) bool) []T {
	var left []T
	for _, one := range all {
		if !done(one) {
			left = append(left, one)
		}
	}
	return left
}
