package kafka_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/infra/invariants"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/event"
)

// unclean.leader.election.enable=false: the only replica in sync is gone, one
// that lacks its records is there. It does not become the leader; nothing can be
// written or read until the first is back, with all that it had.
func TestNoUncleanElection(t *testing.T) {
	w := theWorld(t)
	const topic = "two-replicas"
	w.create(t, topic, 2, 3)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ahead, behind := w.cluster.Broker(2), w.cluster.Broker(3)
	behind.Kill()
	w.gone(t, behind)
	if err := w.client.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("acknowledged")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	ahead.Kill()
	if err := behind.Start(ctx); err != nil {
		t.Fatal(err)
	}
	stacktest.Eventually(t, patience, "two brokers, and no leader", func(ctx context.Context) bool {
		m, err := w.admin.Metadata(ctx, topic)
		return err == nil && slices.Equal(m.Brokers.NodeIDs(), []int32{1, 3}) && m.Topics[topic].Partitions[0].Leader == -1
	})
	if err := ahead.Start(ctx); err != nil {
		t.Fatal(err)
	}
	w.whole(t)
	w.spread(t)
	var there []string
	w.read(t, topic, func(r *kgo.Record) { there = append(there, string(r.Value)) })
	if !slices.Equal(there, []string{"acknowledged"}) {
		t.Errorf("records %q", there)
	}
	if _, err := w.admin.DeleteTopic(ctx, topic); err != nil {
		t.Error(err)
	}
	w.trigger(t, w.newGate(t)) // it had to live through it too
	w.holds(t)
}

// create makes a topic of one partition on some brokers, one of which is enough.
func (w *world) create(t *testing.T, topic string, brokers ...int32) {
	t.Helper()
	one := "1"
	request := kmsg.NewPtrCreateTopicsRequest()
	request.Topics = []kmsg.CreateTopicsRequestTopic{{
		Topic: topic, NumPartitions: -1, ReplicationFactor: -1,
		ReplicaAssignment: []kmsg.CreateTopicsRequestTopicReplicaAssignment{{Partition: 0, Replicas: brokers}},
		Configs:           []kmsg.CreateTopicsRequestTopicConfig{{Name: "min.insync.replicas", Value: &one}},
	}}
	answer, err := request.RequestWith(t.Context(), w.client)
	if err == nil {
		err = kerr.ErrorForCode(answer.Topics[0].ErrorCode)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.whole(t)
}

// retention: what Kafka drops before it was taken is lost, and the invariants say
// so. The trigger goes on with what is left. Records are deleted here as by an
// operator; the end of their time would do the same.
func TestRetentionTooShort(t *testing.T) {
	w := theWorld(t)
	first := w.trigger(t, w.newGate(t))
	w.taken(t)
	first.stop(t)
	lost := trades(t, 50)
	w.lose(t, lost)
	deps := w.deps()
	deps.Live = true
	report, err := invariants.Check(t.Context(), deps)
	if err != nil {
		t.Fatal(err)
	}
	if text := report.String(); !strings.Contains(text, "records that Kafka dropped before they were taken") {
		t.Errorf("it is not reported:\n%s", text)
	}
	w.trigger(t, w.newGate(t))
	for n := range 100 { // some in each partition
		w.send(t, executed(tenant(t), fmt.Sprint("later ", n), fmt.Sprint("account ", n)))
	}
	w.holds(t)
	if n := w.decided(t.Context(), t); n != 100 {
		t.Errorf("%d events were decided, want the 100 later ones", n)
	}
}

// lose puts events into Kafka and has it drop them: no account is kept of them.
func (w *world) lose(t *testing.T, all []*event.Event) {
	t.Helper()
	before := len(w.sent)
	w.send(t, all...)
	w.sent = w.sent[:before]
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ends, err := w.admin.ListEndOffsets(ctx, events)
	if err != nil {
		t.Fatal(err)
	}
	dropped, err := w.admin.DeleteRecords(ctx, ends.Offsets())
	if err == nil {
		err = dropped.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
}
