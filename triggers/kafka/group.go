package kafka

import (
	"time"

	"github.com/IBM/sarama"
	gometrics "github.com/rcrowley/go-metrics"
)

// consumerConfig is sarama's configuration of the group member.
func consumerConfig(cfg Config) *sarama.Config {
	c := clientConfig(cfg)
	c.Consumer.Return.Errors = true
	// A group that has no offset yet starts at the earliest record, not at
	// sarama's default, the latest: nothing that was sent before is lost.
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Offsets.AutoCommit.Interval = cfg.CommitInterval
	c.Consumer.IsolationLevel = sarama.ReadCommitted
	c.Consumer.Fetch.Default = cfg.FetchBytes
	c.Consumer.Fetch.Max = 0 // with a maximum sarama would skip larger records
	// What lies in sarama's channel of a partition the window does not count. It
	// fills up while the reader is not there yet; records may be large.
	c.ChannelBufferSize = 8
	c.Consumer.MaxWaitTime = 250 * time.Millisecond
	c.Consumer.Retry.Backoff = 500 * time.Millisecond
	group := &c.Consumer.Group
	group.Session.Timeout = cfg.SessionTimeout
	group.Heartbeat.Interval = min(time.Second, cfg.SessionTimeout/5)
	group.Rebalance.Timeout = cfg.RebalanceTimeout
	// Who joins is answered when all others have joined or their time is up. A
	// member that gives up waiting before, and joins again as another one,
	// leaves behind one more that is waited for: it would never end.
	c.Net.ReadTimeout = max(c.Net.ReadTimeout, cfg.RebalanceTimeout+10*time.Second)
	group.Rebalance.Retry.Backoff = 500 * time.Millisecond
	// Partitions that stay where they are go on during a rebalance.
	group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyCooperativeSticky()}
	return c
}

// producerConfig is sarama's configuration for dead letters.
func producerConfig(cfg Config) *sarama.Config {
	c := clientConfig(cfg)
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Idempotent = true
	c.Net.MaxOpenRequests = 1 // the idempotent producer needs it
	c.Producer.Return.Successes = true
	c.Producer.Return.Errors = true
	// The topic's own limit decides, not sarama's default of 1 MB.
	c.Producer.MaxMessageBytes = int(sarama.MaxRequestSize) - 64<<10
	return c
}

func clientConfig(cfg Config) *sarama.Config {
	c := sarama.NewConfig()
	c.ClientID = "millrace-trigger"
	c.Version, _ = sarama.ParseKafkaVersion(cfg.Version) // Validate has seen it
	c.MetricRegistry = gometrics.NewRegistry()
	cfg.Security.Apply(c)
	return c
}
