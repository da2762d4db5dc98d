package kafka

import (
	"time"

	"github.com/IBM/sarama"
)

// MaxMessageBytes bounds a record: a little below the 1,048,588 bytes that a
// topic takes by default. https://kafka.apache.org/documentation/#topicconfigs_max.message.bytes
const MaxMessageBytes = 1 << 20

// CommandConfig returns the settings of a producer with a person waiting before
// it: as safe as those of ProducerConfig, but it soon says that Kafka is away.
func CommandConfig(client string, s Security) *sarama.Config {
	c := sarama.NewConfig()
	s.Apply(c)
	c.ClientID = client
	c.Version = sarama.V2_8_0_0
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Idempotent = true
	c.Net.MaxOpenRequests = 1 // more would let retries change the order
	c.Net.DialTimeout = 5 * time.Second
	c.Metadata.Retry.Max = 1
	c.Producer.Return.Successes = true
	c.Producer.Compression = sarama.CompressionLZ4
	return c
}

// ProducerConfig returns the settings of a producer that loses nothing: what it
// says that Kafka has, all replicas in sync have.
func ProducerConfig(client string, s Security) *sarama.Config {
	c := sarama.NewConfig()
	s.Apply(c)
	c.ClientID = client
	c.Version = sarama.V2_6_0_0 // the least that all of this needs
	// Together these keep the order within a partition over retries, and make
	// no retry a second record.
	c.Producer.Idempotent = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Net.MaxOpenRequests = 1
	// Long enough for a new leader to be elected. Retries that run out cost
	// other partitions theirs, since sarama then gives the producer a new epoch.
	c.Producer.Retry.Max = 7
	c.Producer.Retry.BackoffFunc = sarama.NewExponentialBackoff(100*time.Millisecond, 2*time.Second)
	c.Producer.MaxMessageBytes = MaxMessageBytes
	c.Producer.Return.Successes = true
	c.Producer.Return.Errors = true
	// A topic that is missing is somebody's mistake: one made in passing would
	// lack its settings.
	c.Metadata.AllowAutoTopicCreation = false
	// An outage is to be found out in seconds: whoever sends can wait better.
	c.Net.DialTimeout = 3 * time.Second
	c.Net.ReadTimeout = 10 * time.Second
	c.Net.WriteTimeout = 10 * time.Second
	return c
}
