package kafka

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/caarlos0/env/v11"

	"github.com/millrace/millrace/shared/kafka"
	"github.com/millrace/millrace/shared/trace"
)

// environ sets only these variables of those that Config reads.
func environ(t *testing.T, vars map[string]string) {
	t.Helper()
	fields, err := env.GetFieldParams(&Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range fields {
		t.Setenv(field.Key, "") // remembers what to restore
		if err := os.Unsetenv(field.Key); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range vars {
		t.Setenv(name, value)
	}
}

func TestConfigDefaults(t *testing.T) {
	environ(t, map[string]string{"KAFKA_BROKERS": "a:1,b:2", "KAFKA_TOPICS": "trade-events,ledger-events", "K_SINK": "http://trade.default.svc"})
	got, err := FromEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Brokers: []string{"a:1", "b:2"}, Topics: []string{"trade-events", "ledger-events"}, Group: "millrace-trade-events",
		Version: "3.6.0", Security: kafka.Security{Mechanism: "PLAIN"}, Sink: "http://trade.default.svc", SinkTimeout: Seconds(30 * time.Second), Name: "kafka-trigger",
		BatchEvents: 500, BatchBytes: 4 << 20, InFlight: 4, WindowEvents: 10_000, WindowBytes: 64 << 20, FetchBytes: 256 << 10,
		RetryMin: 100 * time.Millisecond, RetryMax: 10 * time.Second, CommitInterval: 500 * time.Millisecond,
		DrainTimeout: 20 * time.Second, SessionTimeout: 10 * time.Second, RebalanceTimeout: 30 * time.Second, ListenAddress: ":8080", Port: 8080,
		Trace: trace.Config{Protocol: "http/protobuf", Timeout: 10_000, Sampler: "parentbased_traceidratio", Ratio: 0.01},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	got.Sink = "http://user:secret@trade/path"
	if name := got.sinkName(); name != "http://trade/path" {
		t.Errorf("the sink is named %s", name)
	}
	if topic := got.deadLetterTopic("ledger-events"); topic != "ledger-events-dead-letter" {
		t.Errorf("dead-letter topic %s", topic)
	}
}

func TestConfigFromKnative(t *testing.T) {
	environ(t, map[string]string{
		"KAFKA_BROKERS": "a:1", "KAFKA_TOPICS": "t", "K_SINK": "https://sink", "PORT": "9090", "K_SINK_TIMEOUT": "7",
		"K_CE_OVERRIDES": `{"extensions":{"tier":"gold"}}`, "KAFKA_DEAD_LETTER_TOPIC": "dead", "KAFKA_CONSUMER_GROUP": "g",
	})
	got, err := FromEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	overrides, err := got.overrides()
	if err != nil || overrides["tier"] != "gold" {
		t.Errorf("overrides %v, %v", overrides, err)
	}
	if got.ListenAddress != ":9090" || got.SinkTimeout != Seconds(7*time.Second) || got.deadLetterTopic("t") != "dead" || got.Group != "g" {
		t.Errorf("got %+v", got)
	}
}

func TestConfigNamesAllThatIsWrong(t *testing.T) {
	environ(t, map[string]string{
		"K_SINK": "sink:8080", "K_CE_OVERRIDES": `{"extensions":{"type":"x"}}`, "K_AUDIENCE": "me", "K_CA_CERTS": "none",
		"KAFKA_VERSION": "new", "MAX_IN_FLIGHT": "0", "BATCH_MAX_BYTES": "-1", "RETRY_MAX_BACKOFF": "1ms", "DRAIN_TIMEOUT": "2m",
		"KAFKA_TOPICS": "dead", "KAFKA_DEAD_LETTER_TOPIC": "dead", "KAFKA_NET_SASL_ENABLE": "true", "KAFKA_NET_SASL_TYPE": "GSSAPI", "KAFKA_NET_TLS_CERT": "x",
	})
	_, err := FromEnvironment()
	if err == nil {
		t.Fatal("no error")
	}
	for _, name := range []string{
		"KAFKA_BROKERS", "K_SINK", "K_CE_OVERRIDES", "K_AUDIENCE", "K_CA_CERTS", "KAFKA_VERSION", "MAX_IN_FLIGHT", "BATCH_MAX_BYTES",
		"RETRY_MAX_BACKOFF", "DRAIN_TIMEOUT", "KAFKA_DEAD_LETTER_TOPIC", "KAFKA_NET_SASL_USER", "KAFKA_NET_SASL_TYPE", "KAFKA_NET_TLS_CERT",
	} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named in: %v", name, err)
		}
	}
}

func TestConfigOfSarama(t *testing.T) {
	t.Parallel()
	cfg := testConfig(newCluster(t, 1), "http://sink")
	cfg.Security = kafka.Security{TLS: true, SASL: true, User: "u", Password: "p", Mechanism: "PLAIN"}
	for name, c := range map[string]*sarama.Config{"consumer": consumerConfig(cfg), "producer": producerConfig(cfg)} {
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !c.Net.TLS.Enable || !c.Net.SASL.Enable || c.Net.SASL.User != "u" || c.Version != sarama.V3_6_0_0 {
			t.Errorf("%s: %+v", name, c.Net)
		}
	}
	c := consumerConfig(cfg)
	if c.Consumer.Offsets.Initial != sarama.OffsetOldest || c.Consumer.IsolationLevel != sarama.ReadCommitted || c.Consumer.Fetch.Max != 0 {
		t.Errorf("consumer: %+v", c.Consumer)
	}
	p := producerConfig(cfg)
	if !p.Producer.Idempotent || p.Producer.RequiredAcks != sarama.WaitForAll || p.Net.MaxOpenRequests != 1 {
		t.Errorf("producer: %+v", p.Producer)
	}
}
