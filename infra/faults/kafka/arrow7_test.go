package kafka_test

import (
	"context"
	"syscall"
	"testing"

	"github.com/millrace/millrace/infra/stack/kafkacluster"
	"github.com/millrace/millrace/infra/stack/stacktest"
)

// 7: the function has committed, and is killed while it tells Kafka, whose brokers
// have its records or not, and do not answer. The relay tells Kafka again.
func TestArrow7KilledWhileKafkaIsTold(t *testing.T) {
	w := theWorld(t)
	g := w.newGate(t, arriving)
	w.trigger(t, g)
	w.send(t, trades(t, 50)...)
	g.await(t, arriving)
	w.each(t, (*kafkacluster.Broker).Pause)
	g.release(arriving)
	stacktest.Eventually(t, patience, "trades to be decided", func(ctx context.Context) bool { return w.decided(ctx, t) > 0 })
	if n := w.count(t.Context(), t, `SELECT count(*) FROM millrace.outbox`); n == 0 {
		t.Error("Kafka was told although no broker answers")
	}
	if err := w.platform.Unit("trade").Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	w.each(t, (*kafkacluster.Broker).Resume)
	w.holds(t)
}

// each does something to all brokers.
func (w *world) each(t *testing.T, do func(*kafkacluster.Broker) error) {
	t.Helper()
	for _, b := range w.cluster.Brokers {
		if err := do(b); err != nil {
			t.Fatal(err)
		}
	}
}
