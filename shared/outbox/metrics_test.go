package outbox

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/millrace/millrace/infra/stack/stacktest"
)

// What Redis shows late is told as late: measured from the commit, by the relay
// of the process that committed and by a sweep alike.
func TestViewLag(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.relay()
	stop := w.run(t, r)
	r.Offer(w.commit(t, change{subjects: []string{"a"}, by: 1}))
	stop()
	lag := gathered(t, r, "millrace_view_lag_seconds").GetHistogram()
	if lag.GetSampleCount() != 1 || lag.GetSampleSum() > 60 {
		t.Error("an offered claim: ", lag)
	}
	w.commit(t, change{subjects: []string{"b"}, by: 1})
	w.exec(t, `UPDATE millrace.outbox SET created_at = now() - interval '1 hour'`)
	if _, err := r.Sweep(t.Context(), 0, 10); err != nil {
		t.Fatal(err)
	}
	lag = gathered(t, r, "millrace_view_lag_seconds").GetHistogram()
	if lag.GetSampleCount() != 2 || lag.GetSampleSum() < time.Hour.Seconds() {
		t.Error("a swept row: ", lag)
	}
}

func TestOutagesAreTold(t *testing.T) {
	t.Parallel()
	w := &world{logs: &stacktest.Log{}, fn: newTally()}
	r := w.relay()
	if gathered(t, r, "millrace_relay_unreachable", "redis").GetGauge().GetValue() != 0 {
		t.Error("nobody asked yet")
	}
	_ = r.redisOut.note(t.Context(), errFault) // it is what it was given
	if gathered(t, r, "millrace_relay_unreachable", "redis").GetGauge().GetValue() != 1 ||
		gathered(t, r, "millrace_relay_unreachable", "kafka").GetGauge().GetValue() != 0 {
		t.Error("Redis alone is out of reach")
	}
}

// gathered returns the series of a metric with a label value, if one is given.
func gathered(t *testing.T, r *Relay, name string, label ...string) *dto.Metric {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(r.Collector())
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && strings.Contains(m.String(), strings.Join(label, "")) {
				return m
			}
		}
	}
	t.Fatalf("there is no %s", name)
	return nil
}

// run runs a relay until the returned function has it finish what it has.
func (w *world) run(t *testing.T, r *Relay) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	return func() { cancel(); <-done }
}
