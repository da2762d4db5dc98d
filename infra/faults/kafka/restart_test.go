package kafka_test

import (
	"testing"

	"github.com/millrace/millrace/infra/stack/kafkacluster"
)

// Each broker is killed in turn, under traffic: others lead its partitions, one
// of the times another is the controller, and nothing that was acknowledged is
// lost. The functions' own records, and those that come by HTTP, are part of it.
func TestBrokerKilled(t *testing.T) {
	w := theWorld(t)
	w.eachBrokerOut(t, func(b *kafkacluster.Broker) error { b.Kill(); return nil })
}

// A rolling restart, as for an upgrade.
func TestRollingRestart(t *testing.T) {
	w := theWorld(t)
	w.eachBrokerOut(t, (*kafkacluster.Broker).Stop)
}

// eachBrokerOut takes one broker after the other out for a while, under traffic.
func (w *world) eachBrokerOut(t *testing.T, out func(*kafkacluster.Broker) error) {
	t.Helper()
	g := w.newGate(t)
	w.trigger(t, g)
	w.trigger(t, g)
	s, byHTTP := w.traffic(t), w.posts(t)
	for _, b := range w.cluster.Brokers {
		s.more(t, rate)
		if err := out(b); err != nil {
			t.Fatal(err)
		}
		w.gone(t, b)
		s.more(t, rate)
		byHTTP.more(t, 5)
		if err := b.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.whole(t)
		w.spread(t)
	}
	s.more(t, rate)
	s.end(t)
	byHTTP.end()
	w.holds(t)
	t.Logf("%d records by Kafka and %d by HTTP; nothing was acknowledged for %.1f s at most", len(s.sent), byHTTP.acked.Load(), s.gap.Seconds())
}
