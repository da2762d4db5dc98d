package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/IBM/sarama"
)

// Security is how to reach a Kafka that asks for TLS or a password; the names
// are those of Knative's Kafka source.
type Security struct {
	// TLS encrypts the connection.
	TLS bool `env:"KAFKA_NET_TLS_ENABLE" envDefault:"false"`
	// CACert is a certificate trusted beside the system's own, as PEM.
	CACert string `env:"KAFKA_NET_TLS_CA_CERT"`
	// Cert is the client's own certificate, as PEM.
	Cert string `env:"KAFKA_NET_TLS_CERT"`
	// Key is the key of that certificate, as PEM.
	Key string `env:"KAFKA_NET_TLS_KEY"`
	// SASL turns authentication on, by User and Password.
	SASL     bool   `env:"KAFKA_NET_SASL_ENABLE" envDefault:"false"`
	User     string `env:"KAFKA_NET_SASL_USER"`
	Password string `env:"KAFKA_NET_SASL_PASSWORD"`
	// Mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
	Mechanism string `env:"KAFKA_NET_SASL_TYPE" envDefault:"PLAIN"`
}

// Validate names all that is wrong.
func (s Security) Validate() error {
	_, err := s.tls()
	errs := []error{err}
	if s.SASL && s.User == "" {
		errs = append(errs, errors.New("KAFKA_NET_SASL_USER is required with KAFKA_NET_SASL_ENABLE"))
	}
	if _, known := scrams[s.Mechanism]; s.SASL && s.Mechanism != sarama.SASLTypePlaintext && !known {
		errs = append(errs, fmt.Errorf("KAFKA_NET_SASL_TYPE %q is not supported: use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", s.Mechanism))
	}
	return errors.Join(errs...)
}

// InTheClear says that the password itself goes over a connection that is not
// encrypted.
func (s Security) InTheClear() bool {
	return s.SASL && !s.TLS && s.Mechanism == sarama.SASLTypePlaintext
}

// Apply puts the settings, which are valid, into a configuration of sarama.
func (s Security) Apply(c *sarama.Config) {
	c.Net.TLS.Enable = s.TLS
	c.Net.TLS.Config, _ = s.tls() // Validate has seen it
	if !s.SASL {
		return
	}
	c.Net.SASL.Enable = true
	c.Net.SASL.Mechanism = sarama.SASLMechanism(s.Mechanism)
	c.Net.SASL.User, c.Net.SASL.Password = s.User, s.Password
	if hash := scrams[s.Mechanism]; hash != nil {
		c.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scramClient{hash: hash} }
	}
}

func (s Security) tls() (*tls.Config, error) {
	roots, err := RootCAs(s.CACert)
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

// CheckBrokers checks KAFKA_BROKERS.
func CheckBrokers(brokers []string) error {
	if len(brokers) == 0 || slices.Contains(brokers, "") {
		return errors.New("KAFKA_BROKERS is required: host:port, separated by commas")
	}
	return nil
}

// RootCAs are the system's and those given as PEM.
func RootCAs(pem string) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil { // none is installed
		pool = x509.NewCertPool()
	}
	if pem != "" && !pool.AppendCertsFromPEM([]byte(pem)) {
		return nil, errors.New("no certificate found")
	}
	return pool, nil
}
