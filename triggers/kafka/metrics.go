package kafka

import (
	"strconv"
	"sync/atomic"
	"time"

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
}

func newMetrics(w *window, joined *atomic.Bool) *metrics {
	m := &metrics{
		registry:    prometheus.NewRegistry(),
		read:        prometheus.NewCounter(prometheus.CounterOpts{Name: "millrace_trigger_records_read_total", Help: "Records read from Kafka."}),
		delivered:   prometheus.NewCounter(prometheus.CounterOpts{Name: "millrace_trigger_events_delivered_total", Help: "Events that the sink took."}),
		deadLetters: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "millrace_trigger_dead_letters_total", Help: "Records put into a dead-letter topic, by undecodable or refused."}, []string{"reason"}),
		retries:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "millrace_trigger_retries_total", Help: "Attempts that failed and are made again, by HTTP status, connection or dead-letter."}, []string{"reason"}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "millrace_trigger_batch_events", Help: "Events in one request.",
			Buckets: []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000}}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "millrace_trigger_requests_in_flight", Help: "Requests under way."}),
		isolated: prometheus.NewGauge(prometheus.GaugeOpts{Name: "millrace_trigger_isolated_events", Help: "Events that the sink fails on again and again, tried on alone."}),
	}
	member := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "millrace_trigger_joined", Help: "1 while the process is a member of its consumer group."}, func() float64 {
		if joined.Load() {
			return 1
		}
		return 0
	})
	held := func(name, help string, of func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			w.mu.Lock()
			defer w.mu.Unlock()
			return float64(of())
		})
	}
	m.registry.MustRegister(m.read, m.delivered, m.deadLetters, m.retries, m.batch, m.inFlight, m.isolated, member, w,
		held("millrace_trigger_window_events", "Records read and not yet marked.", func() int { return w.events }),
		held("millrace_trigger_window_bytes", "Bytes of records read and not yet done.", func() int { return w.bytes }),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, reason := range []string{"undecodable", "refused"} { // so that the first step is seen as one
		m.deadLetters.WithLabelValues(reason)
	}
	m.retries.WithLabelValues("connection")
	return m
}

var (
	lagDesc = prometheus.NewDesc("millrace_trigger_lag_records",
		"Records between the mark and the partition's end, as Kafka told it last.", []string{"topic", "partition"}, nil)
	oldestDesc = prometheus.NewDesc("millrace_trigger_oldest_record_seconds",
		"Age of the oldest record that was read and not marked, by the record's own timestamp; 0 if there is none.", []string{"topic", "partition"}, nil)
)

// Describe implements prometheus.Collector.
func (w *window) Describe(out chan<- *prometheus.Desc) {
	out <- lagDesc
	out <- oldestDesc
}

// Collect implements prometheus.Collector: how far each partition is behind, now
// and not as of its last mark, since one that is stuck moves none.
func (w *window) Collect(out chan<- prometheus.Metric) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.claims {
		partition := strconv.Itoa(int(c.partition))
		out <- prometheus.MustNewConstMetric(lagDesc, prometheus.GaugeValue, float64(c.lag()), c.topic, partition)
		out <- prometheus.MustNewConstMetric(oldestDesc, prometheus.GaugeValue, c.oldest(time.Now()).Seconds(), c.topic, partition)
	}
}

func reason(o outcome) string {
	if o.status == 0 {
		return "connection"
	}
	return strconv.Itoa(o.status)
}
