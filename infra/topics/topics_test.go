package topics_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/shared/kafka"
)

// A family that is new comes last: ports go by the order.
func TestAllNamesTheFamiliesAndTheirDeadLetters(t *testing.T) {
	t.Parallel()
	var names []string
	for _, topic := range topics.All(3) {
		names = append(names, topic.Name)
		if topic.Partitions != 10 || topic.ReplicationFactor != 3 ||
			topic.Config["min.insync.replicas"] != "2" || topic.Config["retention.ms"] != "604800000" {
			t.Errorf("%+v", topic)
		}
	}
	want := "agent-events agent-events-dead-letter conversation-events conversation-events-dead-letter " +
		"message-events message-events-dead-letter trade-events trade-events-dead-letter " +
		"position-events position-events-dead-letter ledger-events ledger-events-dead-letter"
	if got := strings.Join(names, " "); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, " events-dead-letter") {
		t.Errorf("topics:\n got %s\nwant %s", got, want)
	}
}

func TestAllAsksForNoMoreThanTheClusterHas(t *testing.T) {
	t.Parallel()
	for brokers, want := range map[int]struct {
		replicas int16
		inSync   string
	}{0: {1, "1"}, 1: {1, "1"}, 2: {2, "2"}, 3: {3, "2"}, 7: {3, "2"}} {
		got := topics.All(brokers)[0]
		if got.ReplicationFactor != want.replicas || got.Config["min.insync.replicas"] != want.inSync {
			t.Errorf("%d brokers: replication %d, in sync %s; want %+v", brokers, got.ReplicationFactor, got.Config["min.insync.replicas"], want)
		}
	}
}

func TestEnsureMakesWhatIsMissingAndTouchesNothingElse(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(4, "trade-events"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()

	created, err := topics.Ensure(ctx, cluster.ListenAddrs(), kafka.Security{})
	if err != nil {
		t.Fatal(err)
	}
	if want := len(topics.All(3)) - 1; len(created) != want {
		t.Errorf("created %d topics, want %d: %v", len(created), want, created)
	}
	again, err := topics.Ensure(ctx, cluster.ListenAddrs(), kafka.Security{})
	if err != nil || len(again) != 0 {
		t.Errorf("the second time: created %v, error %v", again, err)
	}
	if got := len(cluster.PartitionInfos("trade-events")); got != 4 {
		t.Errorf("an existing topic now has %d partitions", got)
	}
	info := cluster.TopicInfo("ledger-events")
	if info == nil || len(cluster.PartitionInfos("ledger-events")) != 10 || info.NumReplicas != 3 || *info.Configs["min.insync.replicas"] != "2" {
		t.Errorf("ledger-events: %+v", info)
	}
}

func TestEnsureSaysWhereItLooked(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err := topics.Ensure(ctx, []string{"127.0.0.1:1"}, kafka.Security{})
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("error %v does not name the broker", err)
	}
}
