package kafka_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/infra/stack/kafkacluster"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/kafka"
)

// Topics ask for two replicas in sync. With one broker down producers go on. With
// two down nothing is acknowledged, what functions have to tell waits in the
// outbox, and all goes on when they are back.
func TestTwoBrokersDown(t *testing.T) {
	w := theWorld(t)
	g := w.newGate(t, arriving)
	w.trigger(t, g)
	first, second := w.cluster.Brokers[0], w.cluster.Brokers[1]
	first.Kill()
	w.gone(t, first)
	all := trades(t, 60)
	w.send(t, all[:30]...)
	g.await(t, arriving)
	second.Kill()
	g.release(arriving) // they commit, and cannot tell position and ledger
	w.refused(t, all[30:])
	stacktest.Eventually(t, patience, "rows to wait in the outbox", func(ctx context.Context) bool {
		return w.decided(ctx, t) > 0 && w.count(ctx, t, `SELECT count(*) FROM millrace.outbox`) > 0
	})
	for _, b := range []*kafkacluster.Broker{first, second} {
		if err := b.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.whole(t)
	w.spread(t)
	w.send(t, all[30:]...) // as who got no answer does
	w.holds(t)
}

// refused sends events, none of which may be acknowledged: by a producer of
// Kafka, and by HTTP.
func (w *world) refused(t *testing.T, all []*event.Event) {
	t.Helper()
	config := kafka.CommandConfig("test", kafka.Security{})
	config.Producer.Timeout, config.Net.ReadTimeout, config.Producer.Retry.Max = time.Second, 3*time.Second, 0
	config.Producer.Idempotent = false // which wants retries
	producer, err := sarama.NewSyncProducer(w.cluster.Addresses(), config)
	if err != nil {
		return // it could not even connect
	}
	defer func() { _ = producer.Close() }()
	messages := make([]*sarama.ProducerMessage, len(all))
	for n, e := range all {
		messages[n] = &sarama.ProducerMessage{
			Topic: events, Key: sarama.StringEncoder(e.Subject), Value: sarama.ByteEncoder(event.AppendJSON(nil, e)),
			Headers: []sarama.RecordHeader{{Key: []byte("content-type"), Value: []byte("application/cloudevents+json")}},
		}
	}
	var failed sarama.ProducerErrors
	if err := producer.SendMessages(messages); !errors.As(err, &failed) || len(failed) != len(all) {
		t.Errorf("%d of %d records were not acknowledged, want none to be: %v", len(failed), len(all), err)
	}
	if w.post(t.Context(), all[0]) {
		t.Error("an event by HTTP was accepted")
	}
}

// The dead-letter topic asks for all three replicas, and a broker is down: no
// dead letter is accepted. Good events are decided; the offset of a bad one stays,
// over a restart of the trigger too.
func TestDeadLetterTopicUnavailable(t *testing.T) {
	w := theWorld(t)
	w.inSync(t, "3")
	defer w.inSync(t, "2")
	broker := w.cluster.Brokers[2]
	broker.Kill()
	w.gone(t, broker)
	first := w.trigger(t, w.newGate(t))
	w.taken(t)
	before := w.lag(t.Context())
	at := w.sendRaw(t, &kgo.Record{Topic: events, Value: []byte("no event")})
	w.send(t, trades(t, 50)...)
	stacktest.Eventually(t, patience, "the good ones to be decided", func(ctx context.Context) bool { return w.decided(ctx, t) == 50 })
	refused := func(tr *trigger) func(ctx context.Context) bool {
		return func(ctx context.Context) bool { return tr.metric(ctx, `millrace_trigger_retries_total`) > 0 }
	}
	stacktest.Eventually(t, patience, "a dead letter to be refused", refused(first))
	first.Kill()
	second := w.trigger(t, w.newGate(t))
	stacktest.Eventually(t, patience, "it to be refused again", refused(second))
	if lag := w.lag(t.Context()); lag <= before {
		t.Errorf("%d offsets are left to commit: that of the bad record is committed", lag)
	}
	if n := w.letters(t, at); n != 0 {
		t.Errorf("%d dead letters are in the topic", n)
	}
	if err := broker.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.whole(t)
	w.spread(t)
	w.holds(t)
	if n := w.letters(t, at); n == 0 {
		t.Error("no dead letter is in the topic")
	}
}

// inSync sets how many replicas the dead-letter topic asks for.
func (w *world) inSync(t *testing.T, replicas string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	answers, err := w.admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: "min.insync.replicas", Value: &replicas}}, deadLetters)
	if err == nil {
		_, err = answers.On(deadLetters, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
}
