package outbox

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/shared/function"
)

// Collector returns what r did and how it fares as Prometheus metrics.
func (r *Relay) Collector() prometheus.Collector {
	c := collector{relay: r}
	for _, m := range []struct {
		name, help string
		kind       prometheus.ValueType
		value      func(Stats) int64
	}{
		{"claims_offered_total", "Claims taken right after their commit.", prometheus.CounterValue, func(s Stats) int64 { return s.Offered }},
		{"claims_forgotten_total", "Claims left to the sweeper for want of room.", prometheus.CounterValue, func(s Stats) int64 { return s.Forgotten }},
		{"claims_failed_total", "Offered claims of which something was left to the sweeper.", prometheus.CounterValue, func(s Stats) int64 { return s.Failed }},
		{"rows_swept_total", "Outbox rows taken by sweeps.", prometheus.CounterValue, func(s Stats) int64 { return s.Swept }},
		{"rows_finished_total", "Outbox rows published whole and deleted.", prometheus.CounterValue, func(s Stats) int64 { return s.Finished }},
		{"views_shown_total", "Views that Redis was brought to show.", prometheus.CounterValue, func(s Stats) int64 { return s.Views }},
		{"events_emitted_total", "Events put into Kafka, repeats included.", prometheus.CounterValue, func(s Stats) int64 { return s.Emitted }},
		{"dead_letters_published_total", "Dead letters put into Kafka, repeats included.", prometheus.CounterValue, func(s Stats) int64 { return s.DeadLetters }},
		{"redis_rebuilds_total", "Redis masters whose views were rebuilt, since they were lost or of another life of the database.", prometheus.CounterValue, func(s Stats) int64 { return s.Rebuilt }},
		{"held_bytes", "Estimated memory of offered claims.", prometheus.GaugeValue, func(s Stats) int64 { return s.Held }},
	} {
		desc := prometheus.NewDesc("millrace_relay_"+m.name, m.help, nil, nil)
		c.metrics = append(c.metrics, metric{desc, m.kind, m.value})
	}
	return &c
}

var unreachableDesc = prometheus.NewDesc("millrace_relay_unreachable",
	"1 while a server is out of reach, and what it should get stays in the outbox.", []string{"server"}, nil)

type collector struct {
	relay   *Relay
	metrics []metric
}

type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(Stats) int64
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, m := range c.metrics {
		out <- m.desc
	}
	out <- unreachableDesc
	c.relay.viewLag.Describe(out)
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	stats := c.relay.Stats()
	for _, m := range c.metrics {
		out <- prometheus.MustNewConstMetric(m.desc, m.kind, float64(m.value(stats)))
	}
	for server, o := range map[string]*outage{"redis": c.relay.redisOut, "kafka": c.relay.kafkaOut} {
		var on float64
		if o.on() {
			on = 1
		}
		out <- prometheus.MustNewConstMetric(unreachableDesc, prometheus.GaugeValue, on, server)
	}
	c.relay.viewLag.Collect(out)
}

func newViewLag(functions map[string]function.Definition) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "millrace_view_lag_seconds",
		Help:    "From the commit of a transaction until Redis shows all that it changed.",
		Buckets: prometheus.ExponentialBuckets(0.001, 3, 13), // up to nine minutes
	}, []string{"function"})
	for name := range functions {
		v.WithLabelValues(name)
	}
	return v
}

// visible notes that Redis shows all that the claim's transaction changed.
func (r *Relay) visible(w *work) {
	if w.committed.IsZero() { // neither offered nor swept
		return
	}
	r.viewLag.WithLabelValues(w.Function).Observe(max(0, time.Since(w.committed).Seconds()))
	r.traceShown(w)
}
