package kafka_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/infra/faults/proxy"
	"github.com/millrace/millrace/infra/platform"
	"github.com/millrace/millrace/infra/stack/kafkacluster"
	"github.com/millrace/millrace/infra/stack/process"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/infra/topics"
)

// 7: the function has committed, and is killed while it tells Kafka: before Kafka
// has any of its records, and when it has some, and the function does not know. The
// relay tells Kafka again.
func TestArrow7KilledWhileKafkaIsTold(t *testing.T) {
	t.Run("failed", func(t *testing.T) { killedWhileKafkaIsTold(t, proxy.Request) })
	t.Run("took effect", func(t *testing.T) { killedWhileKafkaIsTold(t, proxy.Reply) })
}

func killedWhileKafkaIsTold(t *testing.T, when proxy.Point) {
	t.Helper()
	w := theWorld(t)
	goOn := w.pauseRelay(t)
	doomed, url := w.pod(t)
	g := w.newGate(t)
	g.redirect(url)
	reached, over := make(chan struct{}), make(chan struct{})
	reach, cut := sync.OnceFunc(func() { close(reached) }), sync.OnceFunc(func() { close(over) })
	t.Cleanup(cut)
	for _, door := range w.doors {
		t.Cleanup(door.On("Produce request", when, func(int) proxy.Verdict {
			reach()
			<-over
			return proxy.Cut
		}))
	}
	w.trigger(t, g)
	w.send(t, trades(t, 50)...)
	select {
	case <-reached:
	case <-time.After(patience):
		t.Fatal("the function did not tell Kafka")
	}
	doomed.Kill()
	cut()
	if n := w.count(t.Context(), t, `SELECT count(*) FROM millrace.outbox WHERE function = 'trade'`); n == 0 {
		t.Error("nothing is left to be told")
	}
	if n := w.emitted(t); (n > 0) != (when == proxy.Reply) {
		t.Errorf("Kafka has %d records", n)
	}
	goOn()
	g.redirect(w.url("trade"))
	w.holds(t)
}

// pauseRelay stops the relay, so that nobody tells what a function left.
func (w *world) pauseRelay(t *testing.T) (goOn func()) {
	t.Helper()
	signal := func(s syscall.Signal) {
		if err := w.platform.Unit("relay").Signal(s); err != nil {
			t.Error(err)
		}
	}
	signal(syscall.SIGSTOP)
	goOn = func() { signal(syscall.SIGCONT) }
	t.Cleanup(goOn) // also of a test that fails
	return goOn
}

// pod starts one more process of the function of trades, which goes to Kafka by the
// doors.
func (w *world) pod(t *testing.T) (*process.Process, string) {
	t.Helper()
	address := freeAddress(t)
	log, err := os.Create(filepath.Join(w.data, "log", "trade-pod-"+tenant(t)+".log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }() // the child has its own handle
	brokers := make([]string, len(w.doors))
	for n, door := range w.doors {
		brokers[n] = door.Address()
	}
	at := w.platform.Addresses
	environment := append(os.Environ(), "LISTEN_ADDRESS="+address,
		"DATABASE_URL="+at.DatabaseURL, "REDIS_URL="+at.RedisURL, "KAFKA_BROKERS="+strings.Join(brokers, ","))
	p, err := process.Start(process.Spec{Path: filepath.Join(w.bin(), "trade"), Output: log, Env: environment})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	url := "http://" + address
	stacktest.Eventually(t, patience, "a function to start", func(ctx context.Context) bool { return platform.Ready(ctx, url) == nil })
	return p, url
}

// emitted counts the records in Kafka of what the test's trades emit.
func (w *world) emitted(t *testing.T) (n int) {
	t.Helper()
	for _, name := range []string{"position", "ledger"} {
		w.read(t, topics.Events(name), func(r *kgo.Record) {
			if strings.Contains(string(r.Value), `"`+tenant(t)+`"`) {
				n++
			}
		})
	}
	return n
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
