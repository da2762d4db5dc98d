package autoscaling

import "time"

// pod is a function's process. Its shards run one transaction each; while one
// runs, the next batch queues up.
type pod struct {
	*service

	ready    bool
	draining bool
	inFlight int
	queued   []*request // behind containerConcurrency
	shards   []shard
}

type shard struct {
	queue []work
	busy  bool
}

// work is events of one request in one shard.
type work struct {
	request *request
	events  int
}

// take accepts a request, or lets it wait in queue-proxy.
func (p *pod) take(r *request) {
	r.pod = p
	if p.limit > 0 && p.inFlight >= p.limit {
		p.queued = append(p.queued, r)
		return
	}
	p.begin(r)
}

// begin spreads a request's events over the shards by entity; the hot key is
// one entity, and so in one shard.
func (p *pod) begin(r *request) {
	p.inFlight++
	spread := r.events - r.hot
	first := p.random.IntN(len(p.shards))
	for i := range p.shards {
		n := spread / len(p.shards)
		if (i-first+len(p.shards))%len(p.shards) < spread%len(p.shards) {
			n++
		}
		if i == 0 {
			n += r.hot
		}
		if n > 0 {
			p.shards[i].queue = append(p.shards[i].queue, work{r, n})
			p.decide(&p.shards[i])
		}
	}
}

// decide starts the next transaction of a shard.
func (p *pod) decide(s *shard) {
	if s.busy || len(s.queue) == 0 {
		return
	}
	s.busy = true
	batch, events := s.batch(p.model.MaxBatch)
	jitter := max(0.2, 1+p.model.Jitter*p.random.NormFloat64())
	own := time.Duration(float64(p.model.Function.of(events)+p.model.Wait) * jitter)
	p.clock.after(own, func() {
		p.database.use(p.model.Database.of(events), func() {
			s.busy = false
			p.committed(batch)
			p.decide(s)
		})
	})
}

func (s *shard) batch(limit int) (batch []work, events int) {
	for len(s.queue) > 0 && events < limit {
		w := &s.queue[0]
		n := min(w.events, limit-events)
		batch = append(batch, work{w.request, n})
		events += n
		if w.events -= n; w.events == 0 {
			s.queue = s.queue[1:]
		}
	}
	return batch, events
}

func (p *pod) committed(batch []work) {
	for _, w := range batch {
		if w.request.undone -= w.events; w.request.undone > 0 {
			continue
		}
		p.inFlight--
		p.finished(w.request)
		w.request.trigger.answered(w.request)
		if len(p.queued) > 0 {
			next := p.queued[0]
			p.queued = p.queued[1:]
			p.begin(next)
		}
	}
}

// load is how many requests the pod has.
func (p *pod) load() int { return p.inFlight + len(p.queued) }
