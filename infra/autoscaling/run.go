package autoscaling

import (
	"math/rand/v2"
	"time"
)

// Settings are what is compared.
type Settings struct {
	Name string
	// Annotations are those of a Knative revision.
	Annotations          map[string]string
	ContainerConcurrency int
	// Triggers is their fixed number, unless Keda scales them.
	Triggers int
	Keda     *Keda
	// InFlight is another MAX_IN_FLIGHT of the triggers than the model's; 0: none.
	InFlight int
}

// run is everything of one run.
type run struct {
	clock   *clock
	random  *rand.Rand
	traffic Traffic
	topic   *topic
	service *service
	group   *group
	knative *knative
	measure *measure
	check   func(*run)
}

// Run returns what the traffic meets under the settings.
func Run(model Model, set Settings, traffic Traffic, seed uint64) (Result, error) {
	r, err := newRun(model, set, traffic, seed)
	if err != nil {
		return Result{}, err
	}
	defer r.knative.close()
	r.clock.run(traffic.Length)
	return r.end(), nil
}

func newRun(model Model, set Settings, traffic Traffic, seed uint64) (*run, error) {
	if set.InFlight > 0 {
		model.InFlight = set.InFlight
	}
	r := &run{clock: &clock{}, random: rand.New(rand.NewPCG(seed, 0)), traffic: traffic, measure: &measure{}, check: func(*run) {}}
	r.topic = newTopic(r.clock, model.Partitions)
	r.service = &service{clock: r.clock, model: model, random: rand.New(rand.NewPCG(seed, 1)),
		database: &database{clock: r.clock, cores: model.Cores}, measure: r.measure, limit: set.ContainerConcurrency}
	r.group = &group{clock: r.clock, model: model, topic: r.topic, service: r.service, measure: r.measure}
	var err error
	if r.knative, err = newKnative(r.clock, r.service, r.measure, set); err != nil {
		return nil, err
	}
	r.knative.start()
	if set.Keda != nil {
		(&keda{Keda: *set.Keda, clock: r.clock, group: r.group}).start()
	} else {
		r.group.fixed(set.Triggers)
	}
	r.clock.every(traffic.Sample, r.sample)
	r.arrive()
	return r, nil
}

// arrive lets events come: one by one while they are few, else what comes in
// ten milliseconds together.
func (r *run) arrive() {
	const (
		slot   = 10 * time.Millisecond
		few    = 100 // a second
		ahead  = time.Second
		stride = float64(ahead) / float64(time.Second)
	)
	rate, hot, flood := r.traffic.Rate(r.clock.now), r.traffic.Hot(r.clock.now), r.traffic.Flood(r.clock.now)
	if rate+hot+flood > few {
		events, key, tenant := poisson(r.random, rate*slot.Seconds()), poisson(r.random, hot*slot.Seconds()), 0
		if flood > 0 { // else the draws of other traffic would be others
			tenant = poisson(r.random, flood*slot.Seconds())
		}
		r.topic.arrive(events, key, tenant)
		r.clock.after(slot, r.arrive)
		return
	}
	// Beyond a second the rate may be another one; the distribution has no memory.
	gap := stride + 1
	if rate > 0 {
		gap = r.random.ExpFloat64() / rate
	}
	if gap > stride {
		r.clock.after(ahead, r.arrive)
		return
	}
	r.clock.after(time.Duration(gap*float64(time.Second)), func() {
		r.topic.arrive(1, 0, 0)
		r.arrive()
	})
}

func (r *run) sample() {
	m, every := r.measure, r.traffic.Sample.Seconds()
	r.check(r)
	m.result.MaxBacklog = max(m.result.MaxBacklog, r.topic.backlog())
	m.result.Samples = append(m.result.Samples, Sample{
		At: r.clock.now, Pods: r.service.replicas(), Ready: len(r.service.ready),
		Triggers: len(r.group.members), Backlog: r.topic.backlog(),
		Arriving: float64(r.topic.arrived-m.arrived) / every,
		Deciding: float64(r.topic.done-m.done) / every,
		P95:      m.second.Quantile(0.95),
	})
	m.arrived, m.done, m.second = r.topic.arrived, r.topic.done, Latencies{}
}

func (r *run) end() Result {
	m, seconds := r.measure, r.clock.now.Seconds()
	m.podTime.set(r.clock.now, 0)
	m.triggerTime.set(r.clock.now, 0)
	result := m.result
	result.Arrived, result.Backlog = r.topic.arrived, r.topic.backlog()
	result.Pods, result.Triggers = m.podTime.sum/seconds, m.triggerTime.sum/seconds
	result.Database = r.service.database.used / time.Duration(max(1, r.topic.done))
	result.ToZero = -1
	if r.service.replicas() == 0 {
		result.ToZero = result.lastChange - r.traffic.Ends
	}
	return result
}
