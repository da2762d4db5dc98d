package topics

import (
	"strconv"
	"time"

	"github.com/millrace/millrace/shared/kafka"
)

// Settings that all topics share.
const (
	// Partitions bounds how many consumers can share a topic. Raising it later
	// moves keys to other partitions; order of effect does not depend on that,
	// but locality does.
	Partitions = 10
	// ReplicationFactor is what a topic has on a cluster of at least as many
	// brokers; on a smaller one it has as many replicas as there are brokers.
	ReplicationFactor = 3
	// MinInSyncReplicas of ReplicationFactor must have a record before
	// acks=all is answered: one broker may be down without stopping intake.
	MinInSyncReplicas = 2
	// Retention is how long Kafka keeps a record: the time within which a
	// consumer that was down must come back.
	Retention = 7 * 24 * time.Hour
)

// Functions are the event families, each with a topic of its own.
func Functions() []string { return kafka.Functions() }

// Events is the topic that a function consumes.
func Events(function string) string { return kafka.Events(function) }

// DeadLetters is the topic for what a function's trigger could not hand over.
func DeadLetters(function string) string { return kafka.DeadLetters(function) }

// Topic is one topic with its settings, fit for a cluster of a given size.
type Topic struct {
	Name              string
	Partitions        int32
	ReplicationFactor int16
	Config            map[string]string
}

// All lists every topic as it should be on a cluster of that many brokers.
func All(brokers int) []Topic {
	var all []Topic
	for _, function := range Functions() {
		all = append(all, topic(Events(function), brokers), topic(DeadLetters(function), brokers))
	}
	return append(all, topic(kafka.OtherDeadLetters, brokers))
}

func topic(name string, brokers int) Topic {
	replicas := max(1, min(ReplicationFactor, brokers))
	return Topic{
		Name:              name,
		Partitions:        Partitions,
		ReplicationFactor: int16(replicas),
		Config: map[string]string{
			"retention.ms": strconv.FormatInt(Retention.Milliseconds(), 10),
			// More in-sync replicas than there are would refuse every write.
			"min.insync.replicas": strconv.Itoa(min(MinInSyncReplicas, replicas)),
		},
	}
}
