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

func (m *metrics) observe(batch []*candidate, took time.Duration) {
	for _, c := range batch {
		m.outcomes.WithLabelValues(string(c.outcome.Kind)).Inc()
	}
	m.batches.Observe(float64(len(batch)))
	m.seconds.Observe(took.Seconds())
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
