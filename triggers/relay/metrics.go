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
	rows     prometheus.Gauge
	oldest   prometheus.Gauge
}

func newMetrics(relay *outbox.Relay) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		sweeps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_sweeps_total", Help: "Sweeps of the outbox, by ok or failed.",
		}, []string{"outcome"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "millrace_sweep_seconds", Help: "How long a sweep takes.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
		}),
		rows: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "millrace_outbox_rows", Help: "Rows in the outbox after the last sweep, counted up to a limit.",
		}),
		oldest: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "millrace_outbox_oldest_seconds", Help: "Age of the oldest row in the outbox after the last sweep.",
		}),
	}
	m.registry.MustRegister(m.sweeps, m.seconds, m.rows, m.oldest, relay.Collector(),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
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

func (m *metrics) depth(d outbox.Depth) {
	m.rows.Set(float64(d.Rows))
	m.oldest.Set(d.Oldest.Seconds())
}
