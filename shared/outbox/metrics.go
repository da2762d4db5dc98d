package outbox

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Collector returns r's Stats as Prometheus metrics.
func (r *Relay) Collector() prometheus.Collector {
	var c collector
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
		{"held_bytes", "Estimated memory of offered claims.", prometheus.GaugeValue, func(s Stats) int64 { return s.Held }},
	} {
		desc := prometheus.NewDesc("millrace_relay_"+m.name, m.help, nil, nil)
		c.metrics = append(c.metrics, metric{desc, m.kind, m.value})
	}
	c.stats = r.Stats
	return &c
}

type collector struct {
	stats   func() Stats
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
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	stats := c.stats()
	for _, m := range c.metrics {
		out <- prometheus.MustNewConstMetric(m.desc, m.kind, float64(m.value(stats)))
	}
}
