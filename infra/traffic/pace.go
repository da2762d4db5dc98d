package traffic

import "time"

// pace says when records are due.
type pace struct {
	rate   float64
	spike  Spike
	offset float64 // nanoseconds since the start
}

// unpaced is how many records a second there are if nobody asks for a rate.
const unpaced = 1e6

func newPace(s *Settings) *pace {
	p := &pace{rate: s.Rate, spike: s.Spike}
	if p.rate == 0 {
		p.rate = unpaced
	}
	return p
}

func (p *pace) now() time.Duration { return time.Duration(p.offset) }

// step returns when the next record is due.
func (p *pace) step() time.Duration {
	at := p.now()
	rate := p.rate
	if p.spike.Every > 0 && at%p.spike.Every >= p.spike.Every-p.spike.For {
		rate *= p.spike.Factor
	}
	p.offset += float64(time.Second) / rate
	return at
}
