package proxy

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Point is where a rule takes hold.
type Point string

// The points of an exchange. What is cut at Request has not happened; what is cut
// at Reply has, and nobody hears of it.
const (
	Request Point = "request"
	Reply   Point = "reply"
)

// Verdict is what becomes of a message and its connection.
type Verdict bool

// Pass lets a message pass; Cut drops it and breaks off the connection.
const (
	Pass Verdict = true
	Cut  Verdict = false
)

type rule struct {
	text string
	when Point
	do   func(n int) Verdict
	n    atomic.Int64
}

func (r *rule) apply() Verdict { return r.do(int(r.n.Add(1))) }

// On has do decide about each message that has text in it, or is the reply to
// one that has. n counts them from 1; do may block. The rule holds until it is
// taken away.
func (p *Proxy) On(text string, when Point, do func(n int) Verdict) (remove func()) {
	r := &rule{text: text, when: when, do: do}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = append(p.rules, r)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.rules = slices.DeleteFunc(p.rules, func(other *rule) bool { return other == r })
	}
}

// Moment is an exchange that is held up.
type Moment struct {
	// Reached is closed when the exchange is there.
	Reached chan struct{}

	over    sync.Once
	end     chan struct{}
	verdict Verdict
}

// At holds up the next such exchange, until it is told to go on or is cut.
func (p *Proxy) At(text string, when Point) *Moment {
	m := &Moment{Reached: make(chan struct{}), end: make(chan struct{})}
	p.mu.Lock()
	p.held = append(p.held, m)
	p.mu.Unlock()
	p.On(text, when, func(n int) Verdict {
		if n > 1 {
			return Pass
		}
		close(m.Reached)
		<-m.end
		return m.verdict
	})
	return m
}

// Pass lets it go on.
func (m *Moment) Pass() { m.finish(Pass) }

// Cut drops what was held up and breaks off its connection.
func (m *Moment) Cut() { m.finish(Cut) }

func (m *Moment) finish(v Verdict) {
	m.over.Do(func() {
		m.verdict = v
		close(m.end)
	})
}
