package autoscaling

import "time"

// group is the consumer group of the triggers.
type group struct {
	clock   *clock
	model   Model
	topic   *topic
	service *service
	measure *measure

	want    int
	members []*trigger
}

// scale changes how many triggers there shall be. A new one counts when it has
// joined; one that goes has its partitions taken over at once.
func (g *group) scale(want int) {
	if want == g.want {
		return
	}
	for range max(0, want-g.want) {
		g.clock.after(g.service.coldStart()+g.model.Join, g.join)
	}
	g.want = want
	if len(g.members) > want {
		for _, t := range g.members[want:] {
			t.gone = true
		}
		g.members = g.members[:want]
		g.assign()
	}
	g.measure.triggers(g.clock.now, want)
}

func (g *group) join() {
	if len(g.members) >= g.want { // it was told to go while it started
		return
	}
	g.members = append(g.members, &trigger{group: g})
	g.assign()
}

// assign shares out the partitions. What of them was read and not sent is sent
// by who has them now.
func (g *group) assign() {
	for _, t := range g.members {
		t.claims, t.ready = nil, nil
	}
	for i, p := range g.topic.partitions {
		p.owner, p.hot.queued = nil, false
		if len(g.members) > 0 {
			p.owner = g.members[i%len(g.members)]
			p.owner.claims = append(p.owner.claims, p)
		}
	}
	for _, p := range g.topic.partitions {
		if p.owner == nil {
			continue
		}
		for _, c := range p.read {
			if !c.hot && c.unsent > 0 {
				p.owner.ready = append(p.owner.ready, ready{p, c})
			}
		}
		p.proceed()
	}
}

// fixed is a number of triggers that was set by hand and is there already.
func (g *group) fixed(n int) {
	g.want = n
	g.measure.triggers(g.clock.now, n)
	for range n {
		g.join()
	}
}

// interval is a period of Kubernetes or KEDA, in seconds as their fields have it.
func interval(seconds int) time.Duration { return time.Duration(seconds) * time.Second }
