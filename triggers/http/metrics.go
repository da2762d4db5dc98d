package gateway

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/millrace/millrace/shared/fault"
)

// metrics has a registry of its own, so that two gateways fit into a process.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight prometheus.Gauge
	events   *prometheus.CounterVec
	calls    *prometheus.CounterVec

	deadLetters *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "millrace_http_requests_total", Help: "Requests, by route and HTTP status."}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "millrace_http_request_seconds", Help: "From the header of a request to its answer.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 16)}, []string{"route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "millrace_http_requests_in_flight", Help: "Requests that have room; those whose client has gone too, while Kafka is still at them."}),
		events:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "millrace_http_events_total", Help: "Events that Kafka acknowledged, by function."}, []string{"function"}),
		calls:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "millrace_http_calls_total", Help: "Synchronous calls, by function and what came of them: applied, refused, parked, dead-letter, or how they failed."}, []string{"function", "outcome"}),

		deadLetters: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "millrace_http_dead_letters_total", Help: "What a Knative Broker brought and cannot be taken, put into a dead-letter topic, by topic and what is wrong."}, []string{"topic", "reason"}),
	}
	m.registry.MustRegister(m.deadLetters, m.requests, m.seconds, m.inFlight, m.events, m.calls,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, topic := range letterTopics() { // a counter that begins at one has not increased
		for _, kind := range []fault.Kind{fault.Invalid, fault.Unreadable, fault.TooLarge, fault.WrongMedia} {
			m.deadLetters.WithLabelValues(topic, kind.String())
		}
	}
	return m
}

func (m *metrics) called(function string, a answered, err error) {
	outcome := a.said.Outcome
	if err != nil {
		outcome = fault.KindOf(err).String()
	}
	m.calls.WithLabelValues(function, outcome).Inc()
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter

	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets net/http set deadlines, and end a connection whose body is too
// large.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (m *metrics) answered(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(route).Observe(took.Seconds())
}
