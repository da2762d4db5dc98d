package runtime

import (
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/millrace/millrace/shared/event"
)

// The reasons, beside those of package event, why an event becomes a dead
// letter undecided.
const (
	identityConflict = "identity-conflict" // a known id with other content
	sequenceReused   = "sequence-reused"   // an old sequence with an unknown id
	sequenceConflict = "sequence-conflict" // two parked events want one sequence
	parkedLimit      = "parked-limit"      // the tenant has too many parked events
	ruleFailed       = "rule-failed"       // the rule panicked
	notStorable      = "not-storable"      // the database refuses what it leads to
	notEmitted       = "not-emitted"       // the decision that it says emitted it is not there
)

// known is what the database says about a batch's events, read after their
// entities were locked.
type known struct {
	seen    map[identity]*seenRow
	streams map[streamKey]*streamRow
	// notEmitted are those that say they were emitted by a decision which is not
	// there.
	notEmitted map[*event.Event]bool
	// parkedOf counts a tenant's parked events of this function that no function
	// emitted, as far as the limit.
	parkedOf map[string]int
}

// seenRow is an event that was decided.
type seenRow struct {
	subject string
	digest  [32]byte
	outcome Outcome
	// by is the decision in this very batch, whose outcome is not yet known.
	by *candidate
}

// streamRow is how far a stream was decided.
type streamRow struct {
	position int64
	parked   int
	// waiting are the parked events that were read, by their sequence.
	waiting map[int64]*candidate
}

// plan is what becomes of each event of a batch.
type plan struct {
	decide     []*candidate // in this order
	duplicates []duplicate
	park       []*candidate
	waiting    []*candidate // parked already by an earlier delivery
	dead       []burial
	redriven   []*candidate // whose dead letters this batch settles
	again      []*candidate // of those, the refused ones that are decided once more
	unpark     []*candidate // rows of parked that are done with
	streams    map[streamKey]*planned
}

// burial is an event that becomes a dead letter undecided.
type burial struct {
	*candidate
	why *event.Invalid
}

type duplicate struct {
	*candidate
	of *seenRow
}

// planned is a stream as the batch leaves it.
type planned struct {
	streamRow
	drained int
	more    bool // ready events are left for another transaction
	touched bool
}

// limits bounds what one batch or tenant may do.
type limits struct {
	drain      int // parked events drained from one stream
	drainBytes int // of parked events that one transaction reads
	parked     int // parked events of one tenant
	dead       int // open dead letters of one tenant
}

// makePlan says what becomes of each event: pure, and so free to run twice,
// first to find which parked events are needed, then with them. Every decidable
// event takes its sequence whether the rules apply or refuse it, so the plan
// needs no rules.
// The streams in drains are drained even if the batch has nothing for them.
func makePlan(batch []*candidate, drains []streamKey, k *known, l limits) *plan {
	p := &planner{plan: plan{streams: map[streamKey]*planned{}}, known: k, limits: l,
		decided: map[identity]*seenRow{}, newlyParked: map[string]int{}, settled: map[uuid.UUID]bool{}}
	for _, c := range batch {
		p.place(c)
	}
	for _, key := range drains {
		p.drain(p.streamOf(key))
	}
	for key, s := range p.streams {
		if !s.touched {
			delete(p.streams, key)
		}
	}
	return &p.plan
}

type planner struct {
	plan
	known       *known
	limits      limits
	decided     map[identity]*seenRow
	newlyParked map[string]int
	settled     map[uuid.UUID]bool // dead letters that are redriven already
}

func (p *planner) place(c *candidate) {
	if p.redrives(c) && c.letter.kind == refusedKind {
		p.decideAgain(c)
		return
	}
	var seen *seenRow
	if c.identified() {
		seen = p.seenBefore(c)
	}
	// What was decided was emitted, whatever a repeat of it says.
	if p.known.notEmitted[c.event] && (seen == nil || seen.digest != c.digest) {
		p.buryf(c, notEmitted, "the decision that it says emitted it, %s, is not there: did the database lose its last transactions?",
			c.event.Extensions[event.DecisionExtension])
		return
	}
	if seen != nil {
		p.placeSeen(c, seen)
		return
	}
	if c.invalid != nil {
		p.dead = append(p.dead, burial{c, c.invalid})
		return
	}
	if c.event.Sequence == 0 {
		p.decideNow(c)
		return
	}
	p.placeInStream(c, p.streamOf(c.stream()))
}

func (p *planner) seenBefore(c *candidate) *seenRow {
	if s := p.decided[c.identity()]; s != nil {
		return s
	}
	if c.fromDB {
		return c.seen
	}
	return p.known.seen[c.identity()]
}

func (p *planner) placeSeen(c *candidate, seen *seenRow) {
	if seen.digest != c.digest {
		p.buryf(c, identityConflict, "an event with this source and id, but another content, was decided before")
		return
	}
	p.duplicates = append(p.duplicates, duplicate{c, seen})
}

func (p *planner) placeInStream(c *candidate, s *planned) {
	switch next := s.position + 1; {
	case c.event.Sequence < next:
		p.buryf(c, sequenceReused, "sequence %d of this source was decided before, and not by this event: "+
			"did the producer start its counter again? The next one is %d", c.event.Sequence, next)
	case c.event.Sequence > next:
		p.parkIn(c, s)
	default:
		p.advance(c, s)
	}
}

// advance decides c and then the parked events that waited for it.
func (p *planner) advance(c *candidate, s *planned) {
	switch w := s.waiting[c.event.Sequence]; {
	case w == nil:
		p.take(c, s)
	case w.same(c): // parked, and left over by a drain that reached its limit
		p.waiting = append(p.waiting, c)
	default:
		p.conflict(c, w)
	}
	p.drain(s)
}

func (p *planner) conflict(c, parked *candidate) {
	p.buryf(c, sequenceConflict, "another event, id %q, is parked for sequence %d of this source", parked.event.ID, c.event.Sequence)
}

func (p *planner) drain(s *planned) {
	for {
		c := s.waiting[s.position+1]
		if c == nil {
			return
		}
		if s.drained == p.limits.drain || c.unread {
			s.more, s.touched = true, true
			return
		}
		s.drained++
		delete(s.waiting, c.event.Sequence)
		p.leaveParking(c, s)
		if c.invalid == nil {
			if seen := p.seenBefore(c); seen == nil {
				p.take(c, s)
				continue
			}
			p.buryf(c, identityConflict, "while this event was parked, one with its source and id was decided")
			return
		}
		// Undecided after all, as after a return to an older version: its
		// sequence stays open, and what follows stays parked.
		p.dead = append(p.dead, burial{c, c.invalid})
		return
	}
}

func (p *planner) leaveParking(c *candidate, s *planned) {
	if c.fromDB {
		p.unpark = append(p.unpark, c)
		s.parked--
		s.touched = true
		return
	}
	p.park = slices.DeleteFunc(p.park, func(o *candidate) bool { return o == c })
	if !c.event.Emitted() {
		p.newlyParked[c.event.TenantID]--
	}
	s.parked--
}

func (p *planner) take(c *candidate, s *planned) {
	s.position++
	s.touched = true
	p.decideNow(c)
}

func (p *planner) decideNow(c *candidate) {
	p.decide = append(p.decide, c)
	p.decided[c.identity()] = &seenRow{digest: c.digest, by: c}
}

func (p *planner) parkIn(c *candidate, s *planned) {
	tenant := c.event.TenantID
	if w := s.waiting[c.event.Sequence]; w != nil {
		if w.same(c) {
			p.waiting = append(p.waiting, c)
			return
		}
		p.conflict(c, w)
		return
	}
	// What functions emit is bounded where it is emitted, and its gaps close.
	if !c.event.Emitted() {
		if p.known.parkedOf[tenant]+p.newlyParked[tenant] >= p.limits.parked {
			p.buryf(c, parkedLimit, "the tenant has %d parked events, no more are allowed", p.limits.parked)
			return
		}
		p.newlyParked[tenant]++
	}
	s.parked++
	s.touched = true
	s.waiting[c.event.Sequence] = c
	p.park = append(p.park, c)
}

func (p *planner) buryf(c *candidate, reason, format string, args ...any) {
	p.dead = append(p.dead, burial{c, event.Invalidf(reason, format, args...)})
}

func (p *planner) streamOf(key streamKey) *planned {
	s := p.streams[key]
	if s == nil {
		s = &planned{streamRow: streamRow{waiting: map[int64]*candidate{}}}
		if row := p.known.streams[key]; row != nil {
			s.position, s.parked = row.position, row.parked
			maps.Copy(s.waiting, row.waiting)
		}
		p.streams[key] = s
	}
	return s
}
