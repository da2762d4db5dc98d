package kafka

import (
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/shared/kafka"
)

// Validate names all that is wrong in one error.
func (c Config) Validate() error {
	var wrong []error
	must := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	must(len(c.Topics) > 0 && !slices.Contains(c.Topics, ""), "KAFKA_TOPICS is required: names, separated by commas")
	must(c.Group != "", "KAFKA_CONSUMER_GROUP is empty")
	for _, topic := range c.Topics {
		must(c.deadLetterTopic(topic) != topic, "KAFKA_DEAD_LETTER_TOPIC %q is also read: its records would go round in circles", topic)
	}
	if _, err := sarama.ParseKafkaVersion(c.Version); err != nil {
		wrong = append(wrong, fmt.Errorf("KAFKA_VERSION: %w", err))
	}
	wrong = append(wrong, kafka.CheckBrokers(c.Brokers), c.Security.Validate(), c.Trace.Validate())
	sink, err := url.Parse(c.Sink)
	must(err == nil && (sink.Scheme == "http" || sink.Scheme == "https") && sink.Host != "", "K_SINK is no http or https URL with a host")
	if _, err := c.overrides(); err != nil {
		wrong = append(wrong, fmt.Errorf("K_CE_OVERRIDES: %w", err))
	}
	must(c.Audience == "", "K_AUDIENCE is set: OIDC tokens are not supported yet")
	if _, err := kafka.RootCAs(c.CACerts); err != nil {
		wrong = append(wrong, fmt.Errorf("K_CA_CERTS: %w", err))
	}
	return errors.Join(append(wrong, c.validateLimits()...)...)
}

func (c Config) validateLimits() (wrong []error) {
	positive := func(name string, n int64) {
		if n <= 0 {
			wrong = append(wrong, fmt.Errorf("%s is %d, want at least 1", name, n))
		}
	}
	positive("BATCH_MAX_EVENTS", int64(c.BatchEvents))
	positive("BATCH_MAX_BYTES", int64(c.BatchBytes))
	positive("MAX_IN_FLIGHT", int64(c.InFlight))
	positive("WINDOW_EVENTS", int64(c.WindowEvents))
	positive("WINDOW_BYTES", int64(c.WindowBytes))
	positive("KAFKA_FETCH_BYTES", int64(c.FetchBytes))
	positive("K_SINK_TIMEOUT", int64(c.SinkTimeout))
	positive("RETRY_MIN_BACKOFF", int64(c.RetryMin))
	positive("COMMIT_INTERVAL", int64(c.CommitInterval))
	positive("DRAIN_TIMEOUT", int64(c.DrainTimeout))
	positive("KAFKA_SESSION_TIMEOUT", int64(c.SessionTimeout))
	if c.RetryMax < c.RetryMin {
		wrong = append(wrong, fmt.Errorf("RETRY_MAX_BACKOFF %s is below RETRY_MIN_BACKOFF %s", c.RetryMax, c.RetryMin))
	}
	if c.DrainTimeout >= c.RebalanceTimeout {
		wrong = append(wrong, fmt.Errorf("DRAIN_TIMEOUT %s must stay below KAFKA_REBALANCE_TIMEOUT %s", c.DrainTimeout, c.RebalanceTimeout))
	}
	return wrong
}
