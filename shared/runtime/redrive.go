package runtime

import (
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/event"
)

// A redrive is an event that an operator sent again and that names its dead
// letter. That alone allows nothing: the operator also set the dead letter to
// redriving, and it has to be of this event. The transaction that decides the
// event settles the dead letter, so one redrive has one effect however often its
// record comes:
//
//	undecided   an ordinary delivery
//	refused     decided once more, at the entity's end; its sequence is consumed
//	            already
//
// If it fails again, the dead letter is open again, with the new reason.

// The kinds and states of dead letters.
const (
	undecidedKind = "undecided"
	refusedKind   = "refused"

	openState      = "open"
	redrivingState = "redriving"
	redrivenState  = "redriven"
)

const (
	// After the entities, and in one order. Anybody may name a dead letter: only
	// those of the same identity are locked, and their events are read only where
	// an operator said so and the digest does not say enough.
	lockLetters = `
SELECT d.id, d.kind, d.state, d.reason, d.cause, d.digest,
       CASE WHEN d.state = 'redriving' AND d.digest IS DISTINCT FROM batch.digest THEN d.event END
FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::bytea[]) AS batch (id, tenant_id, source, event_id, digest)
JOIN millrace.dead_letters AS d
  ON d.id = batch.id AND d.tenant_id = batch.tenant_id AND d.source = batch.source AND d.event_id = batch.event_id
WHERE d.function = $1
ORDER BY d.id
FOR UPDATE OF d`

	// What is decided again is remembered anew.
	forgetSeen = `
DELETE FROM millrace.seen AS s
USING unnest($1::text[], $2::text[], $3::text[]) AS batch (tenant_id, source, id)
WHERE s.tenant_id = batch.tenant_id AND s.source = batch.source AND s.id = batch.id`

	settleLetters = `
UPDATE millrace.dead_letters AS d
SET state = batch.state, kind = batch.kind, reason = batch.reason, cause = batch.cause
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[]) AS batch (id, state, kind, reason, cause)
WHERE d.id = batch.id`
)

// deadLetter is a row that an event of the batch says it is.
type deadLetter struct {
	id                         uuid.UUID
	kind, state, reason, cause string
	digest                     []byte // of the event as it came, or nil
	event                      []byte
}

// takeLetterID takes the name of a dead letter off an event: the rules see what
// the producer sent.
func takeLetterID(e *event.Event) uuid.UUID {
	id, _ := uuid.Parse(e.Extensions[event.DeadLetterExtension]) // else none
	delete(e.Extensions, event.DeadLetterExtension)
	return id
}

func (t *transaction) queueLockLetters(b *pgx.Batch) {
	var ids []uuid.UUID
	var tenants, sources, eventIDs []string
	var digests [][]byte
	for _, c := range t.batch {
		if c.letterID != uuid.Nil {
			e := c.labels()
			ids, digests = append(ids, c.letterID), append(digests, c.digest[:])
			tenants, sources, eventIDs = append(tenants, e.TenantID), append(sources, e.Source), append(eventIDs, e.ID)
		}
	}
	if len(ids) > 0 {
		b.Queue(lockLetters, t.fn.FunctionName(), ids, tenants, sources, eventIDs, digests).Query(t.scanLetters)
	}
}

func (t *transaction) scanLetters(rows pgx.Rows) error {
	for rows.Next() {
		l := &deadLetter{}
		if err := rows.Scan(&l.id, &l.kind, &l.state, &l.reason, &l.cause, &l.digest, &l.event); err != nil {
			return err
		}
		t.letters[l.id] = l
	}
	return rows.Err()
}

// recognise finds out which events of the batch are the dead letters that they
// say they are.
func (t *transaction) recognise() {
	for _, c := range t.batch {
		c.letter = nil
		if l := t.letters[c.letterID]; l != nil && l.is(c) {
			c.letter = l
		}
	}
}

// is reports whether c, of the same identity, is the event of l. What a redaction
// has left of it stands for it, with the digest of the whole.
func (l *deadLetter) is(c *candidate) bool {
	if l.digest != nil && [32]byte(l.digest) == c.digest {
		return true
	}
	if e := event.ParseStructured(l.event).Event; e == nil || c.digest != e.Digest() {
		return false
	}
	if l.digest != nil {
		c.digest = [32]byte(l.digest)
		if len(c.event.Data) == 0 {
			c.invalid = event.Invalidf(event.BadPayload, "nobody could read what it said, and that was redacted")
		}
	}
	return true
}

// redrives reports whether c is the redrive of its dead letter; of several in
// one batch, the first.
func (p *planner) redrives(c *candidate) bool {
	if c.letter == nil || c.letter.state != redrivingState || p.settled[c.letterID] {
		return false
	}
	p.settled[c.letterID] = true
	p.redriven = append(p.redriven, c)
	return true
}

// decideAgain decides what the rules refused. Its stream has gone on, or waits
// for others: neither is touched.
func (p *planner) decideAgain(c *candidate) {
	seen := p.seenBefore(c)
	switch {
	case c.invalid != nil:
		p.dead = append(p.dead, burial{c, c.invalid})
	case seen != nil && (seen.digest != c.digest || seen.by != nil || seen.outcome.Kind != Refused):
		p.placeSeen(c, seen)
	default:
		p.again = append(p.again, c)
		p.decideNow(c)
	}
}

// otherAttributes are those of the event for the audit log, which says too that
// the decision comes of a redrive.
func (c *candidate) otherAttributes() []byte {
	if c.letter == nil || c.letter.state != redrivingState {
		return c.event.OtherAttributes()
	}
	e := *c.event
	e.Extensions = map[string]string{event.DeadLetterExtension: c.letterID.String()}
	maps.Copy(e.Extensions, c.event.Extensions)
	return e.OtherAttributes()
}

func (t *transaction) queueForget(b *pgx.Batch, p *plan) {
	if len(p.again) == 0 {
		return
	}
	var tenants, sources, ids []string
	for _, c := range p.again {
		tenants, sources, ids = append(tenants, c.event.TenantID), append(sources, c.event.Source), append(ids, c.event.ID)
	}
	b.Queue(forgetSeen, tenants, sources, ids)
}

// queueSettle says of each dead letter what became of its event.
func (t *transaction) queueSettle(b *pgx.Batch, p *plan) {
	s := settled{}
	for _, d := range p.dead {
		// A repeat of a redrive that failed before changes nothing.
		if d.letter != nil && (d.letter.state == redrivingState || d.letter.state == redrivenState) {
			s.add(d.letter, openState, d.letter.kind, d.why.Reason, d.why.Detail)
			t.claim.DeadLetters = append(t.claim.DeadLetters, d.letter.id)
		}
	}
	outcomes := map[*candidate]Outcome{}
	for _, d := range t.decisions {
		outcomes[d.candidate] = d.outcome
	}
	for _, c := range p.redriven {
		if o := outcomes[c]; o.Kind == Refused {
			s.add(c.letter, openState, refusedKind, o.Reason, o.Detail)
			t.claim.DeadLetters = append(t.claim.DeadLetters, c.letterID)
		} else {
			s.add(c.letter, redrivenState, c.letter.kind, c.letter.reason, c.letter.cause)
		}
	}
	if len(s.ids) > 0 {
		b.Queue(settleLetters, s.ids, s.states, s.kinds, s.reasons, s.causes)
	}
}

// settled are dead letters by their id: the first word about one counts.
type settled struct {
	ids                            []uuid.UUID
	states, kinds, reasons, causes []string
}

func (s *settled) add(l *deadLetter, state, kind, reason, cause string) {
	if slices.Contains(s.ids, l.id) {
		return
	}
	s.ids = append(s.ids, l.id)
	s.states, s.kinds = append(s.states, state), append(s.kinds, kind)
	s.reasons, s.causes = append(s.reasons, reason), append(s.causes, storableText(cause))
}
