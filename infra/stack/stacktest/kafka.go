package stacktest

import (
	"context"
	"testing"
	"time"

	"github.com/millrace/millrace/infra/stack"
	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/shared/kafka"
)

// Kafka returns the three brokers of a new Kafka with all topics and no
// records: kfake in this process, which neither replicates nor syncs.
func Kafka(t testing.TB) []string {
	t.Helper()
	return KafkaCluster(t).Brokers
}

// KafkaCluster is [Kafka] for tests that inject faults by its Cluster method.
func KafkaCluster(t testing.TB) *stack.Kafka {
	t.Helper()
	cluster, err := stack.StartKafka(stack.KafkaConfig{Ports: []int{0, 0, 0}})
	if err != nil {
		t.Fatalf("starting Kafka for a test: %v", err)
	}
	t.Cleanup(cluster.Stop)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := topics.Ensure(ctx, cluster.Brokers, kafka.Security{}); err != nil {
		t.Fatalf("making topics for a test: %v", err)
	}
	return cluster
}
