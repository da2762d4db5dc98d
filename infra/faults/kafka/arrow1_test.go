package kafka_test

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/infra/stack/kafkacluster"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/event"
)

// 1: a producer dies, or gives up, while the broker has its record and has not
// answered. It sends again, and the record is there twice.
func TestArrow1ProducerHearsNothing(t *testing.T) {
	w := theWorld(t)
	w.trigger(t, w.newGate(t))
	e := executed(tenant(t), "once", "account-1")
	r := record(e)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	hook := &produced{written: make(chan struct{})}
	producer, err := kgo.NewClient(kgo.SeedBrokers(w.cluster.Addresses()...), kgo.WithHooks(hook), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	if err := producer.ProduceSync(ctx, record(executed(tenant(t), "to connect", "account-1"))).FirstErr(); err != nil {
		t.Fatal(err)
	}
	leader := w.leader(t, events, 0)
	if err := leader.Pause(); err != nil {
		t.Fatal(err)
	}
	hook.watch.Store(true)
	producer.Produce(ctx, r, nil)
	select {
	case <-hook.written:
	case <-ctx.Done():
		t.Fatal("the record was not sent")
	}
	producer.Close() // it waits for nothing
	if err := leader.Resume(); err != nil {
		t.Fatal(err)
	}
	w.send(t, e)
	w.holds(t)
	if n := w.records(t, e); n != 2 {
		t.Errorf("%d records of the event, want 2", n)
	}
}

// 1: the gateway is killed while it waits for Kafka. The client has no answer and
// posts again.
func TestArrow1GatewayKilled(t *testing.T) {
	w := theWorld(t)
	w.trigger(t, w.newGate(t))
	e := executed(tenant(t), "once", "account-1")
	w.each(t, (*kafkacluster.Broker).Pause)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	accepted := make(chan bool, 1)
	go func() { accepted <- w.post(ctx, e) }()
	stacktest.Eventually(t, patience, "the request to wait for Kafka", func(context.Context) bool { return metric(ctx, w.url("http"), "millrace_http_requests_in_flight") > 0 })
	if err := w.platform.Unit("http").Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if <-accepted {
		t.Fatal("a gateway that was killed answered")
	}
	w.each(t, (*kafkacluster.Broker).Resume)
	stacktest.Eventually(t, patience, "a new gateway to accept it", func(ctx context.Context) bool { return w.post(ctx, e) })
	w.sent = append(w.sent, identity(e))
	w.holds(t)
}

// produced is a hook that sees requests to produce leave.
type produced struct {
	watch   atomic.Bool
	once    sync.Once
	written chan struct{}
}

var _ kgo.HookBrokerWrite = (*produced)(nil)

// OnBrokerWrite implements [kgo.HookBrokerWrite].
func (p *produced) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if key == kmsg.Produce.Int16() && err == nil && p.watch.Load() {
		p.once.Do(func() { close(p.written) })
	}
}

// records counts the records of an event.
func (w *world) records(t *testing.T, e *event.Event) int {
	t.Helper()
	n := 0
	want := string(record(e).Value)
	w.read(t, events, func(r *kgo.Record) {
		if string(r.Value) == want {
			n++
		}
	})
	return n
}
