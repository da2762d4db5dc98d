package autoscaling

import (
	"math/rand/v2"
	"time"
)

// service is a function's Knative Service: its pods, and the activator, which
// holds requests while there is no pod.
type service struct {
	clock    *clock
	model    Model
	random   *rand.Rand
	database *database
	measure  *measure
	limit    int // containerConcurrency; 0: none

	pods    []*pod // that exist: starting, ready, draining
	ready   []*pod // those of them that take requests
	held    []*request
	proxied bool   // the activator is in the path
	woken   func() // a request came and there is no pod

	inside  int // requests that a scrape would see
	counted time.Duration
	sum     time.Duration // of inside over time, since the last scrape
	begun   int           // requests since the last scrape
}

func (s *service) coldStart() time.Duration { return s.model.ColdStart.sample(s.random) }

// take routes a request to a pod, or holds it.
func (s *service) take(r *request) {
	s.count(1)
	s.begun++
	s.held = append(s.held, r)
	s.route()
	if len(s.ready) == 0 && len(s.held) == 1 {
		s.woken()
	}
}

// route hands held requests to pods: the less busy of two, as the activator
// does. In the path it also holds what containerConcurrency has no room for.
func (s *service) route() {
	for len(s.held) > 0 && len(s.ready) > 0 {
		p := s.pick(s.ready)
		if s.proxied && s.limit > 0 && p.load() >= s.limit {
			return
		}
		r := s.held[0]
		s.held = s.held[1:]
		p.take(r)
	}
}

func (s *service) pick(pods []*pod) *pod {
	a, b := pods[s.random.IntN(len(pods))], pods[s.random.IntN(len(pods))]
	if s.proxied && s.limit > 0 {
		for _, p := range pods { // it knows of each pod's room
			if p.load() < a.load() {
				a = p
			}
		}
		return a
	}
	if b.load() < a.load() {
		return b
	}
	return a
}

func (s *service) refresh() {
	s.ready = nil
	for _, p := range s.pods {
		if p.ready && !p.draining {
			s.ready = append(s.ready, p)
		}
	}
}

// count changes how many requests are inside, and keeps their sum over time.
func (s *service) count(change int) {
	s.sum += time.Duration(s.inside) * (s.clock.now - s.counted)
	s.counted = s.clock.now
	s.inside += change
}

// scrape returns the average concurrency and the requests since the last one.
func (s *service) scrape(period time.Duration) (concurrency, requests float64) {
	s.count(0)
	concurrency, requests = s.sum.Seconds()/period.Seconds(), float64(s.begun)
	s.sum, s.begun = 0, 0
	return concurrency, requests
}

func (s *service) finished(r *request) {
	if !r.pod.draining {
		s.count(-1)
	}
	s.clock.after(0, s.route)
}

// replicas is how many pods the Deployment has.
func (s *service) replicas() int {
	n := 0
	for _, p := range s.pods {
		if !p.draining {
			n++
		}
	}
	return n
}

// scale starts pods or tells some to go, those that are not ready first and
// then the youngest, as a ReplicaSet does.
func (s *service) scale(want int) {
	have := s.replicas()
	if want == have {
		return
	}
	for range want - have {
		s.start()
	}
	for range have - want {
		s.stop()
	}
	s.measure.scaled(s.clock.now, want)
}

func (s *service) start() {
	p := &pod{service: s, shards: make([]shard, s.model.Shards)}
	s.pods = append(s.pods, p)
	s.measure.pods(s.clock.now, len(s.pods))
	s.clock.after(s.coldStart(), func() {
		if !p.draining {
			p.ready = true
			s.refresh()
			s.route()
		}
	})
}

func (s *service) stop() {
	var victim *pod
	for _, p := range s.pods {
		if !p.draining && (victim == nil || !p.ready || victim.ready) {
			victim = p
		}
	}
	victim.draining = true
	s.refresh()
	s.count(-victim.load())
	s.leave(victim, s.model.Drain)
}

// leave lets a pod go when it has waited and nothing is under way in it.
func (s *service) leave(p *pod, wait time.Duration) {
	s.clock.after(wait, func() {
		if p.load() > 0 {
			s.leave(p, time.Second)
			return
		}
		for i, other := range s.pods {
			if other == p {
				s.pods = append(s.pods[:i:i], s.pods[i+1:]...)
			}
		}
		s.measure.pods(s.clock.now, len(s.pods))
	})
}
