package kafka

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"pgregory.net/rapid"
)

// model drives a window as claims and workers do, one step at a time, and
// knows what must hold after each.
type model struct {
	w      *window
	claims map[int32]*claim
	next   map[int32]int64
	held   []*record           // in a worker's hands, flying or not
	last   map[string]int64    // by partition and key: the last offset delivered
	added  map[int32][]*record // of the partition's present claim
	done   map[*record]bool
	marked map[int32]int64
	keysOf map[*record][]string
}

func newModel() *model {
	return &model{
		w:      newWindow(limits{batchEvents: 4, batchBytes: 1000, windowEvents: 40, windowBytes: 100000}),
		claims: map[int32]*claim{}, next: map[int32]int64{}, last: map[string]int64{},
		added: map[int32][]*record{}, done: map[*record]bool{}, marked: map[int32]int64{}, keysOf: map[*record][]string{},
	}
}

// claim opens the partition where its last owner's marks left it.
func (m *model) claim(p int32) *claim {
	if c := m.claims[p]; c != nil {
		return c
	}
	c := newClaim(topic, p)
	c.marker = func(next int64) {
		if m.claims[p] != c {
			panic("a claim that is gone marks")
		}
		m.marked[p] = next
	}
	m.claims[p], m.next[p], m.added[p] = c, m.marked[p], nil
	for key := range m.last {
		if key[0] == byte('0'+p) {
			delete(m.last, key)
		}
	}
	m.w.open(c)
	return c
}

func (m *model) add(t *rapid.T) {
	p := rapid.Int32Range(0, 2).Draw(t, "partition")
	c := m.claim(p)
	key := rapid.SampledFrom([]string{"", "k1", "k2", "k3"}).Draw(t, "key")
	subject := rapid.SampledFrom([]string{"", "e1", "e2", "e3"}).Draw(t, "subject")
	r := &record{msg: &sarama.ConsumerMessage{Key: []byte(key)}, claim: c, offset: m.next[p], size: 10}
	if rapid.IntRange(0, 9).Draw(t, "kind") > 0 { // else it's a raw record, for the dead letters
		r.event = []byte("{}")
	}
	m.next[p] += rapid.Int64Range(1, 2).Draw(t, "gap")
	for _, k := range []string{key, subject} {
		if k != "" {
			m.keysOf[r] = append(m.keysOf[r], fmt.Sprintf("%d%s", p, k))
		}
	}
	m.added[p] = append(m.added[p], r)
	m.w.add(r, entity{subject: []byte(subject)})
	if r.event == nil {
		m.held = append(m.held, r)
	}
}

func (m *model) take(t *rapid.T) {
	m.w.mu.Lock()
	batch := m.w.collect()
	m.w.mu.Unlock()
	if len(batch) > 4 {
		t.Fatalf("batch of %d", len(batch))
	}
	for _, r := range batch {
		for _, key := range m.keysOf[r] {
			for _, other := range m.held {
				if other.event != nil && !other.claim.revoked && shares(m.keysOf[other], key) {
					t.Fatalf("%s is in two requests", key)
				}
			}
		}
	}
	m.held = append(m.held, batch...)
}

func shares(keys []string, key string) bool {
	return slices.Contains(keys, key)
}

// land ends an attempt with some of the held records; those of one lane in
// their order, as a worker does it.
func (m *model) land(t *rapid.T) {
	var some, rest []*record
	behind := map[*lane]bool{}
	for _, r := range m.held {
		var l *lane
		if r.event != nil && !r.claim.revoked {
			l = r.lane.last()
		}
		if !behind[l] && rapid.Bool().Draw(t, "lands") {
			some = append(some, r)
			continue
		}
		rest = append(rest, r)
		behind[l] = behind[l] || l != nil && !r.alone
	}
	if rapid.IntRange(0, 3).Draw(t, "fails") > 0 {
		m.held = rest
		m.deliver(t, some)
		return
	}
	f := m.w.begin(slices.Clone(some), func() {})
	m.w.land(f, nil)
	m.held = slices.DeleteFunc(m.held, func(r *record) bool {
		return slices.Contains(some, r) && !slices.Contains(f.records, r) // dropped or put back
	})
}

func (m *model) deliver(t *rapid.T, records []*record) {
	f := m.w.begin(records, func() {})
	for _, r := range f.records {
		if m.claims[r.claim.partition] != r.claim {
			t.Fatalf("partition %d: a record of a claim that is gone takes off", r.claim.partition)
		}
		m.done[r] = true
		if r.event == nil {
			continue
		}
		for _, key := range m.keysOf[r] {
			if last, ok := m.last[key]; ok && last >= r.offset {
				t.Fatalf("%s: %d delivered after %d", key, r.offset, last)
			}
			m.last[key] = r.offset
		}
	}
	m.w.land(f, f.records)
}

// isolate puts a held event into a cell, the first of its lane.
func (m *model) isolate(t *rapid.T) {
	seen := map[*lane]bool{}
	for _, r := range m.held {
		if r.event == nil || r.claim.revoked {
			continue
		}
		l := r.lane.last()
		first := !seen[l]
		if seen[l] = true; !first || r.alone || !rapid.Bool().Draw(t, "is isolated") {
			continue
		}
		if f := m.w.begin([]*record{r}, func() {}); len(f.records) == 1 { // as a worker finds out that it fails
			m.w.land(f, nil)
			m.w.isolate(r)
		} else {
			m.w.land(f, nil)
			m.held = slices.DeleteFunc(m.held, func(o *record) bool { return o == r })
		}
		return
	}
}

func (m *model) revoke(t *rapid.T) {
	p := rapid.Int32Range(0, 2).Draw(t, "revoked")
	if c := m.claims[p]; c != nil {
		m.w.revoke(c, time.Nanosecond)
		delete(m.claims, p)
	}
}

// check: nothing undone lies before a mark, and the counters add up.
func (m *model) check(t *rapid.T) {
	events, bytes := 0, 0
	for p, c := range m.claims {
		for _, r := range m.added[p] {
			if !m.done[r] && r.offset < m.marked[p] {
				t.Fatalf("partition %d marked up to %d, %d is not done", p, m.marked[p], r.offset)
			}
			if !m.done[r] {
				bytes += r.size
			}
			if r.offset >= m.marked[p] {
				events++
			}
		}
		if c.events != len(c.records) {
			t.Fatalf("partition %d counts %d events, has %d", p, c.events, len(c.records))
		}
	}
	if events != m.w.events || bytes != m.w.bytes {
		t.Fatalf("window has %d events, %d bytes; counted %d, %d", m.w.events, m.w.bytes, events, bytes)
	}
}

func TestWindowKeepsItsRules(t *testing.T) {
	t.Parallel()
	for range 10 { // rapid tries 100 sequences each time
		rapid.Check(t, func(t *rapid.T) {
			m := newModel()
			t.Repeat(map[string]func(*rapid.T){"add": m.add, "take": m.take, "land": m.land, "isolate": m.isolate, "revoke": m.revoke, "": m.check})
			m.finish(t)
		})
	}
}

// finish: in the end all can be delivered, and everything is marked.
func (m *model) finish(t *rapid.T) {
	for range 1000 {
		m.take(t)
		m.deliver(t, m.held)
		m.held = nil
		if m.w.events > 0 {
			continue
		}
		m.check(t)
		for p, c := range m.claims {
			if len(c.keys) > 0 {
				t.Fatalf("partition %d keeps %d keys", p, len(c.keys))
			}
		}
		return
	}
	t.Fatalf("%d events are stuck", m.w.events)
}
