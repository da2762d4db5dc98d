// Package records reads what a topic holds: a part of it, page by page, without a
// consumer group and without a mark of its own. It keeps nothing, and a crash of
// it leaves nothing behind.
package records

import (
	"fmt"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/millrace/millrace/shared/kafka"
)

// Cluster is a Kafka and how to reach it.
type Cluster struct {
	Brokers  []string
	Security kafka.Security // valid
}

// Open makes a client, which connects when it is first used.
func (c Cluster) Open(more ...kgo.Opt) (*kgo.Client, error) {
	options := append([]kgo.Opt{kgo.SeedBrokers(c.Brokers...)}, more...)
	settings := sarama.NewConfig()
	c.Security.Apply(settings)
	if c.Security.TLS {
		options = append(options, kgo.DialTLSConfig(settings.Net.TLS.Config))
	}
	if c.Security.SASL {
		user, password := c.Security.User, c.Security.Password
		switch c.Security.Mechanism {
		case sarama.SASLTypeSCRAMSHA256:
			options = append(options, kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha256Mechanism()))
		case sarama.SASLTypeSCRAMSHA512:
			options = append(options, kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha512Mechanism()))
		default:
			options = append(options, kgo.SASL(plain.Auth{User: user, Pass: password}.AsMechanism()))
		}
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return nil, fmt.Errorf("connecting to Kafka: %w", err)
	}
	return client, nil
}
