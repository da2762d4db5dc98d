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
	registry *prometheus.Registry
	outcomes *prometheus.CounterVec
	batches  prometheus.Histogram
	seconds  prometheus.Histogram
}

func newMetrics(function string, a *admission) *metrics {
	labels := prometheus.Labels{"function": function}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_events_total", ConstLabels: labels,
			Help: "Events by what became of them: applied, refused, duplicate, parked, dead.",
		}, []string{"outcome"}),
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
	queued := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "millrace_queued_events", ConstLabels: labels,
		Help: "Events admitted and not yet committed.",
	}, func() float64 { return float64(a.inUse()) })
	m.registry.MustRegister(m.outcomes, m.batches, m.seconds, queued,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
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
	m.batches.Observe(float64(len(t.decisions) + len(p.duplicates) + len(p.park) + len(p.waiting) + len(p.dead)))
	m.seconds.Observe(took.Seconds())
}

func (m *metrics) count(kind OutcomeKind, n int) {
	m.outcomes.WithLabelValues(string(kind)).Add(float64(n))
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
