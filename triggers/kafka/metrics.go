package kafka

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics has a registry of its own, so that two triggers fit into a process.
type metrics struct {
	registry    *prometheus.Registry
	read        prometheus.Counter
	delivered   prometheus.Counter
	deadLetters *prometheus.CounterVec
	retries     *prometheus.CounterVec
	batch       prometheus.Histogram
	inFlight    prometheus.Gauge
	isolated    prometheus.Gauge
	behind      *prometheus.GaugeVec
}

func newMetrics(w *window) *metrics {
	m := &metrics{
		registry:    prometheus.NewRegistry(),
		read:        prometheus.NewCounter(prometheus.CounterOpts{Name: "millrace_trigger_records_read_total", Help: "Records read from Kafka."}),
		delivered:   prometheus.NewCounter(prometheus.CounterOpts{Name: "millrace_trigger_events_delivered_total", Help: "Events that the sink took."}),
		deadLetters: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "millrace_trigger_dead_letters_total", Help: "Records put into a dead-letter topic."}, []string{"reason"}),
		retries:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "millrace_trigger_retries_total", Help: "Attempts that failed and are made again, by HTTP status, connection or dead-letter."}, []string{"reason"}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "millrace_trigger_batch_events", Help: "Events in one request.",
			Buckets: []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000}}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "millrace_trigger_requests_in_flight", Help: "Requests under way."}),
		isolated: prometheus.NewGauge(prometheus.GaugeOpts{Name: "millrace_trigger_isolated_events", Help: "Events that the sink fails on again and again, tried on alone."}),
		behind:   prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "millrace_trigger_lag_records", Help: "Records between the mark and the partition's end, as of the last mark."}, []string{"topic", "partition"}),
	}
	held := func(name, help string, of func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			w.mu.Lock()
			defer w.mu.Unlock()
			return float64(of())
		})
	}
	m.registry.MustRegister(m.read, m.delivered, m.deadLetters, m.retries, m.batch, m.inFlight, m.isolated, m.behind,
		held("millrace_trigger_window_events", "Records read and not yet marked.", func() int { return w.events }),
		held("millrace_trigger_window_bytes", "Bytes of records read and not yet done.", func() int { return w.bytes }),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) lag(c *claim) prometheus.Gauge {
	return m.behind.WithLabelValues(c.topic, strconv.Itoa(int(c.partition)))
}

func (m *metrics) forget(c *claim) {
	m.behind.DeleteLabelValues(c.topic, strconv.Itoa(int(c.partition)))
}

func reason(o outcome) string {
	if o.status == 0 {
		return "connection"
	}
	return strconv.Itoa(o.status)
}
