package traffic

import (
	"container/heap"
	"fmt"
	"maps"
	"math/rand/v2"
	"time"
)

// How many events may overtake one, at most.
const (
	shortWay = 50   // that is out of order
	longWay  = 1000 // that comes late, or again
)

// Generator makes the traffic that settings describe.
type Generator struct {
	settings Settings
	story    *story
	pace     *pace
	r        *rand.Rand // of deliveries: the story is the same whatever they suffer
	meant    int        // events told
	waiting  deliveries
	ended    bool
	expected Expected
}

// New checks the settings and begins.
func New(s Settings) (*Generator, error) {
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("settings of the traffic: %w", err)
	}
	s.Start = s.Start.UTC().Truncate(time.Microsecond) // what Millrace keeps
	return &Generator{
		settings: s, story: newStory(s), pace: newPace(&s), r: rand.New(rand.NewPCG(s.Seed, 2)),
		expected: Expected{Types: map[string]int{}, Poison: map[string]int{}},
	}, nil
}

// Next returns the next record; false when there are no more.
func (g *Generator) Next() (Record, bool) {
	for {
		g.ended = g.ended || g.settings.Events > 0 && g.meant >= g.settings.Events ||
			g.settings.Duration > 0 && g.pace.now() >= g.settings.Duration
		if len(g.waiting) > 0 && (g.ended || g.waiting[0].at <= g.meant) {
			return g.deliver(), true
		}
		if g.ended {
			return Record{}, false
		}
		g.mean(g.story.next(g.now()))
	}
}

// Fresh returns an event, of the same mix, that is the first and the last about
// its entity. It is not counted among what is expected, and due at once.
func (g *Generator) Fresh() Record { return newRecord(g.story.fresh(g.now()).event, false) }

func (g *Generator) now() time.Time {
	return g.settings.Start.Add(g.pace.now().Truncate(time.Microsecond))
}

// End ends the story: what is held back still comes.
func (g *Generator) End() { g.ended = true }

// Expected says what has to come of the records so far.
func (g *Generator) Expected() Expected {
	e := g.expected
	e.Types, e.Poison = maps.Clone(e.Types), maps.Clone(e.Poison)
	return e
}

// mean decides what an event suffers on its way.
func (g *Generator) mean(i *intent) {
	g.meant++
	d := delivery{at: g.meant, record: newRecord(i.event, false)}
	d.record.Parked = i.parked
	switch {
	case !g.happens(g.settings.Gaps):
		if g.happens(g.settings.Reorder) {
			d.at += 1 + g.r.IntN(shortWay)
			d.reordered = true
		}
	case g.happens(g.settings.OpenGaps):
		i.stream.torn = true
		g.expected.Lost++
		return
	default:
		d.at += shortWay + g.r.IntN(longWay-shortWay)
		d.late = true
	}
	g.wait(d)
	if g.happens(g.settings.Duplicates) {
		again := newRecord(i.event, true) // another client sends it, in the other mode
		again.Kind = Duplicate
		g.wait(delivery{at: d.at + 1 + g.r.IntN(longWay), record: again})
	}
	if g.happens(g.settings.Poison) {
		g.wait(delivery{at: d.at + 1 + g.r.IntN(shortWay), record: spoil(g.r, i.event)})
	}
}

func (g *Generator) happens(share float64) bool { return share > 0 && g.r.Float64() < share }

// delivery is a record that waits for its place.
type delivery struct {
	at     int // after so many events
	number int // of two at one place, the first comes first
	record Record

	reordered, late bool
}

func (g *Generator) wait(d delivery) {
	d.number = g.expected.Records + len(g.waiting)
	heap.Push(&g.waiting, d)
}

func (g *Generator) deliver() Record {
	d, ok := heap.Pop(&g.waiting).(delivery)
	if !ok {
		panic("the heap holds deliveries")
	}
	d.record.At = g.pace.step()
	g.expected.count(&d)
	return d.record
}

// deliveries are a heap by place.
type deliveries []delivery

func (d *deliveries) Len() int { return len(*d) }

func (d *deliveries) Less(i, j int) bool {
	a, b := &(*d)[i], &(*d)[j]
	return a.at < b.at || a.at == b.at && a.number < b.number
}

func (d *deliveries) Swap(i, j int) { (*d)[i], (*d)[j] = (*d)[j], (*d)[i] }

func (d *deliveries) Push(x any) {
	if one, ok := x.(delivery); ok {
		*d = append(*d, one)
	}
}

func (d *deliveries) Pop() any {
	last := (*d)[len(*d)-1]
	(*d)[len(*d)-1] = delivery{} // what it held may go
	*d = (*d)[:len(*d)-1]
	return last
}
