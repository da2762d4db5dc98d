package runtime

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics counts what a function does.
type metrics struct {
	registry    *prometheus.Registry
	outcomes    *prometheus.CounterVec
	deadLetters *prometheus.CounterVec
	batches     prometheus.Histogram
	seconds     prometheus.Histogram
}

func newMetrics(function string, a *admission) *metrics {
	labels := prometheus.Labels{"function": function}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_events_total", ConstLabels: labels,
			Help: "Events by what became of them: applied, refused, duplicate, parked, dead.",
		}, []string{"outcome"}),
		deadLetters: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_dead_letters_total", ConstLabels: labels,
			Help: "Events that became dead letters undecided, by reason.",
		}, []string{"reason"}),
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "millrace_batch_events", ConstLabels: labels,
			Help:    "Events of one transaction.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 7),
		}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "millrace_transaction_seconds", ConstLabels: labels,
			Help:    "From the beginning of a transaction to its commit.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}),
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, ConstLabels: labels, Help: help}, value)
	}
	m.registry.MustRegister(m.outcomes, m.deadLetters, m.batches, m.seconds,
		gauge("millrace_queued_events", "Events admitted and not yet committed.", func() float64 { return float64(a.inUse()) }),
		gauge("millrace_queue_capacity_events", "How many events may be admitted at a time.", func() float64 { return float64(a.capacity) }),
		gauge("millrace_intake_closed", "1 while no event is admitted, since too much is still to be put into Kafka.", a.isClosed),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.start()
	return m
}

// start makes every counter there is say 0, so that its first step is seen as
// one.
func (m *metrics) start() {
	for _, kind := range []OutcomeKind{Applied, Refused, Duplicate, Parked, DeadLettered} {
		m.outcomes.WithLabelValues(string(kind))
	}
	for _, reason := range Reasons() {
		m.deadLetters.WithLabelValues(reason)
	}
}

// observe counts a transaction's events: those of its batch, and the parked ones
// that it decided.
func (m *metrics) observe(t *transaction, p *plan, took time.Duration) {
	for _, d := range t.decisions {
		m.count(d.outcome.Kind, 1)
	}
	m.count(Duplicate, len(p.duplicates))
	m.count(Parked, len(p.park)+len(p.waiting))
	m.count(DeadLettered, len(p.dead))
	for _, d := range p.dead {
		m.deadLetters.WithLabelValues(d.why.Reason).Inc()
	}
	m.batches.Observe(float64(t.events(p)))
	m.seconds.Observe(took.Seconds())
}

// events counts the events that a transaction dealt with.
func (t *transaction) events(p *plan) int {
	return len(t.decisions) + len(p.duplicates) + len(p.park) + len(p.waiting) + len(p.dead)
}

func (m *metrics) count(kind OutcomeKind, n int) {
	m.outcomes.WithLabelValues(string(kind)).Add(float64(n))
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
