package knative

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/infra/topics"
)

// The topics for Strimzi are those of infra/topics on three brokers.
func TestTopics(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("# Made of infra/topics:\n#   go -C infra/knative test -run TestTopics -update\n")
	for n, topic := range topics.All(3) {
		if n > 0 {
			text.WriteString("---\n")
		}
		fmt.Fprintf(&text, `apiVersion: kafka.strimzi.io/v1
kind: KafkaTopic
metadata:
  name: %s
  labels:
    strimzi.io/cluster: kafka
spec:
  partitions: %d
  replicas: %d
  config:
`, topic.Name, topic.Partitions, topic.ReplicationFactor)
		for _, key := range slices.Sorted(maps.Keys(topic.Config)) {
			fmt.Fprintf(&text, "    %s: %s\n", key, topic.Config[key])
		}
	}
	made(t, "stores/kafka/topics.yaml", text.String())
}
