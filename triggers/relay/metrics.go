package relay

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/millrace/millrace/shared/outbox"
)

// metrics has a registry of its own, so that two processes fit into a test.
type metrics struct {
	registry *prometheus.Registry
	sweeps   *prometheus.CounterVec
	seconds  prometheus.Histogram
}

func newMetrics(relay *outbox.Relay, b *backlog) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		sweeps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_sweeps_total", Help: "Sweeps of the outbox, by ok or failed.",
		}, []string{"outcome"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "millrace_sweep_seconds", Help: "How long a sweep takes.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
		}),
	}
	m.registry.MustRegister(m.sweeps, m.seconds, b, relay.Collector(),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, outcome := range []string{"ok", "failed"} {
		m.sweeps.WithLabelValues(outcome)
	}
	return m
}

func (m *metrics) swept(took time.Duration, err error) {
	outcome := "ok"
	if err != nil {
		outcome = "failed"
	}
	m.sweeps.WithLabelValues(outcome).Inc()
	m.seconds.Observe(took.Seconds())
}
