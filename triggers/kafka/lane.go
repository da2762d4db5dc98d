package kafka

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"github.com/IBM/sarama"
)

// record is one Kafka record on its way: read, queued in its lane, flying in a
// request, done. The window's lock guards all but event and msg, which whoever
// delivers the record reads.
type record struct {
	msg    *sarama.ConsumerMessage // raw, for the dead-letter topic
	event  []byte                  // the CloudEvent; nil if the record is none
	claim  *claim
	lane   *lane
	keys   [2]*laneKey
	offset int64
	at     time.Time // the record's own timestamp
	size   int       // bytes held, raw and converted
	fault  *fault    // why it goes to the dead-letter topic
	taken  int       // the window's count of isolations when it left its lane
	alone  bool      // in a cell
	done   bool

	delivery *delivery // nil: it is not followed
}

// lane is a queue of records of one partition that must keep their order: a
// lane has records in one request at a time.
//
// What must be ordered is the entity, (tenantid, subject); what Kafka's users
// expect to be ordered is the record key. A record has up to two of these keys
// and follows all that share one with it: where its keys lead to two lanes,
// those become one until it has run empty. Nearly always the two coincide.
type lane struct {
	into     *lane     // the lane that took this one's records over
	waiting  []*record // in the order of their offsets
	flying   int       // in the hands of a worker or a cell
	isolated int       // the window's count at its last isolation
	queued   bool      // in the window's ready list
}

// laneKey leads from a key to its lane, as long as records with the key are in
// the window.
type laneKey struct {
	name    string
	lane    *lane
	records int
}

func (l *lane) last() *lane {
	for l.into != nil {
		l = l.into
	}
	return l
}

// enter finds the record's lane and puts it at its end.
func (c *claim) enter(r *record, e entity) *lane {
	var l *lane
	if len(e.tenant)+len(e.subject) > 0 {
		c.scratch = append(binary.AppendUvarint(append(c.scratch[:0], 'e'), uint64(len(e.tenant))), e.tenant...)
		c.scratch = append(c.scratch, e.subject...)
		l, r.keys[0] = c.join(l, c.scratch)
	}
	if len(r.msg.Key) > 0 {
		c.scratch = append(append(c.scratch[:0], 'k'), r.msg.Key...)
		l, r.keys[1] = c.join(l, c.scratch)
	}
	if l == nil { // nothing to be in order with
		l = &lane{}
	}
	r.lane = l
	l.waiting = append(l.waiting, r)
	return l
}

// join leads the key to the lane, and what already had the key with it.
func (c *claim) join(l *lane, name []byte) (*lane, *laneKey) {
	key := c.keys[string(name)]
	if key == nil {
		if l == nil {
			l = &lane{}
		}
		key = &laneKey{name: string(name), lane: l}
		c.keys[key.name] = key
	}
	key.records++
	key.lane = merge(l, key.lane.last())
	return key.lane, key
}

// leave forgets the record's keys when it was their last.
func (c *claim) leave(r *record) {
	for _, key := range r.keys {
		if key == nil {
			continue
		}
		if key.records--; key.records == 0 {
			delete(c.keys, key.name)
		}
	}
	r.keys = [2]*laneKey{}
}

// merge makes one lane of two. While either has records flying the new one
// waits for them, so that no two requests carry the same key.
func merge(a, b *lane) *lane {
	if a == nil || a == b {
		return b
	}
	if len(a.waiting) < len(b.waiting) {
		a, b = b, a
	}
	b.into = a
	a.flying += b.flying
	a.isolated = max(a.isolated, b.isolated)
	for _, r := range b.waiting {
		a.insert(r)
	}
	b.waiting = nil
	return a
}

// insert puts a record where its offset belongs.
func (l *lane) insert(r *record) {
	i, _ := slices.BinarySearchFunc(l.waiting, r.offset, func(r *record, offset int64) int { return cmp.Compare(r.offset, offset) })
	l.waiting = slices.Insert(l.waiting, i, r)
}
