package kafka

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/IBM/sarama"
)

// Security is how to reach a Kafka that asks for TLS or a password; the names
// are those of Knative's Kafka source.
type Security struct {
	// TLS encrypts the connection.
	TLS bool `env:"KAFKA_NET_TLS_ENABLE" envDefault:"false"`
	// CACert is trusted beside the system's own, as PEM.
	CACert string `env:"KAFKA_NET_TLS_CA_CERT"`
	// Cert and Key are the client's own, as PEM.
	Cert string `env:"KAFKA_NET_TLS_CERT"`
	Key  string `env:"KAFKA_NET_TLS_KEY"`
	// SASL turns authentication on, by User and Password.
	SASL     bool   `env:"KAFKA_NET_SASL_ENABLE" envDefault:"false"`
	User     string `env:"KAFKA_NET_SASL_USER"`
	Password string `env:"KAFKA_NET_SASL_PASSWORD"`
	// Mechanism: PLAIN. SCRAM is not supported yet.
	Mechanism string `env:"KAFKA_NET_SASL_TYPE" envDefault:"PLAIN"`
}

func (s Security) validate() (wrong []error) {
	if _, err := s.config(); err != nil {
		wrong = append(wrong, err)
	}
	if s.SASL && s.User == "" {
		wrong = append(wrong, errors.New("KAFKA_NET_SASL_USER is required with KAFKA_NET_SASL_ENABLE"))
	}
	if s.SASL && s.Mechanism != sarama.SASLTypePlaintext {
		wrong = append(wrong, fmt.Errorf("KAFKA_NET_SASL_TYPE %q is not supported yet: use PLAIN", s.Mechanism))
	}
	return wrong
}

func (s Security) config() (*tls.Config, error) {
	roots, err := rootCAs(s.CACert)
	if err != nil {
		return nil, fmt.Errorf("KAFKA_NET_TLS_CA_CERT: %w", err)
	}
	c := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if s.Cert != "" || s.Key != "" {
		pair, err := tls.X509KeyPair([]byte(s.Cert), []byte(s.Key))
		if err != nil {
			return nil, fmt.Errorf("KAFKA_NET_TLS_CERT and KAFKA_NET_TLS_KEY: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func (s Security) apply(c *sarama.Config) {
	c.Net.TLS.Enable = s.TLS
	c.Net.TLS.Config, _ = s.config() // Validate has seen it
	if !s.SASL {
		return
	}
	c.Net.SASL.Enable = true
	c.Net.SASL.Mechanism = sarama.SASLMechanism(s.Mechanism)
	c.Net.SASL.User, c.Net.SASL.Password = s.User, s.Password
}
