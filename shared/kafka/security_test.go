package kafka

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kfake"
)

// TestSecureKafka connects to a Kafka that asks for TLS and a password.
func TestSecureKafka(t *testing.T) {
	t.Parallel()
	certificate, trusted := certify(t)
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser(mechanism, "millrace", "secret"),
				kfake.TLS(&tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}))
			if err != nil {
				t.Fatal(err)
			}
			defer cluster.Close()
			right := Security{TLS: true, CACert: trusted, SASL: true, User: "millrace", Password: "secret", Mechanism: mechanism}
			if err := connect(cluster.ListenAddrs(), right); err != nil {
				t.Error(err)
			}
			wrong := right
			wrong.Password = "guessed"
			if connect(cluster.ListenAddrs(), wrong) == nil {
				t.Error("connected with a wrong password")
			}
			wrong = right
			wrong.CACert = ""
			if connect(cluster.ListenAddrs(), wrong) == nil {
				t.Error("connected to a server that nobody vouches for")
			}
		})
	}
}

func connect(brokers []string, s Security) error {
	if err := s.Validate(); err != nil {
		return err
	}
	config := sarama.NewConfig()
	config.Metadata.Retry.Max = 0
	s.Apply(config)
	client, err := sarama.NewClient(brokers, config)
	if err != nil {
		return err
	}
	return client.Close()
}

func TestValidateNamesAllThatIsWrong(t *testing.T) {
	t.Parallel()
	err := Security{SASL: true, Mechanism: "GSSAPI", CACert: "none"}.Validate()
	for _, name := range []string{"KAFKA_NET_TLS_CA_CERT", "KAFKA_NET_SASL_USER", "KAFKA_NET_SASL_TYPE"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named in: %v", name, err)
		}
	}
	if err := (Security{}).Validate(); err != nil {
		t.Error(err)
	}
}

// certify returns a certificate of this machine and, as PEM, what vouches for it.
func certify(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
