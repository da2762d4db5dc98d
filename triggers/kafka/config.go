package kafka

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/caarlos0/env/v11"
)

// Config is what the trigger is told by its environment. The K_ variables are
// those that a Knative SinkBinding or ContainerSource sets; durations are
// written as Go writes them ("30s").
type Config struct {
	// Brokers are the Kafka bootstrap servers, host:port.
	Brokers []string `env:"KAFKA_BROKERS"`
	// Topics are read by this trigger, each from its earliest record on.
	Topics []string `env:"KAFKA_TOPICS"`
	// Group is the consumer group; empty: millrace-<first topic>.
	Group string `env:"KAFKA_CONSUMER_GROUP"`
	// DeadLetterTopic takes what can't be delivered; empty: <topic>-dead-letter,
	// for each topic its own.
	DeadLetterTopic string `env:"KAFKA_DEAD_LETTER_TOPIC"`
	// Version is the highest Kafka protocol spoken; a broker's own limit below
	// it is found out on connecting.
	Version string `env:"KAFKA_VERSION" envDefault:"3.6.0"`
	// Security of the connection to Kafka.
	Security Security

	// Sink is the URL that batches are posted to.
	Sink string `env:"K_SINK"`
	// Overrides are extensions set on every event: {"extensions":{"name":"value"}}.
	Overrides string `env:"K_CE_OVERRIDES"`
	// CACerts are trusted for the sink beside the system's own, as PEM.
	CACerts string `env:"K_CA_CERTS"`
	// Audience asks for an OIDC token with each request: not supported, refused
	// at start.
	Audience string `env:"K_AUDIENCE"`
	// SinkTimeout bounds one request; a bare number counts seconds, as
	// Knative's adapters take it.
	SinkTimeout Seconds `env:"K_SINK_TIMEOUT" envDefault:"30s"`
	// Namespace and Name say in the logs which source this is.
	Namespace string `env:"NAMESPACE"`
	Name      string `env:"NAME" envDefault:"kafka-trigger"`

	// BatchEvents and BatchBytes bound one request; an event larger than
	// BatchBytes travels alone.
	BatchEvents int `env:"BATCH_MAX_EVENTS" envDefault:"500"`
	BatchBytes  int `env:"BATCH_MAX_BYTES" envDefault:"4194304"`
	// InFlight bounds the requests under way at one time.
	InFlight int `env:"MAX_IN_FLIGHT" envDefault:"4"`
	// WindowEvents and WindowBytes bound what was read and is not yet marked;
	// at the bound fetching pauses. What was already on its way is taken in:
	// at most two fetches of FetchBytes (compressed, if the producer compresses)
	// for each partition.
	WindowEvents int `env:"WINDOW_EVENTS" envDefault:"10000"`
	WindowBytes  int `env:"WINDOW_BYTES" envDefault:"67108864"`
	// FetchBytes bounds what one fetch brings of one partition; a larger
	// record still comes, alone.
	FetchBytes int32 `env:"KAFKA_FETCH_BYTES" envDefault:"262144"`

	// RetryMin and RetryMax bound the pause before a request is sent again;
	// it doubles from one to the other. A sink's Retry-After may lengthen it to
	// five minutes.
	RetryMin time.Duration `env:"RETRY_MIN_BACKOFF" envDefault:"100ms"`
	RetryMax time.Duration `env:"RETRY_MAX_BACKOFF" envDefault:"10s"`
	// CommitInterval is the time between commits of marked offsets; after a
	// kill that much comes again.
	CommitInterval time.Duration `env:"COMMIT_INTERVAL" envDefault:"500ms"`
	// DrainTimeout is how long requests under way may go on once their
	// partition is revoked or the process told to stop. Keep it below the pod's
	// grace period.
	DrainTimeout time.Duration `env:"DRAIN_TIMEOUT" envDefault:"20s"`
	// SessionTimeout is how long a silent member keeps its partitions.
	SessionTimeout time.Duration `env:"KAFKA_SESSION_TIMEOUT" envDefault:"10s"`
	// RebalanceTimeout is how long a member may take to give partitions up
	// before the group goes on without it: longer than DrainTimeout.
	RebalanceTimeout time.Duration `env:"KAFKA_REBALANCE_TIMEOUT" envDefault:"30s"`

	// ListenAddress serves health and metrics; empty: all addresses, Port.
	ListenAddress string `env:"LISTEN_ADDRESS"`
	Port          int    `env:"PORT" envDefault:"8080"`
}

// Seconds is a duration that may be written as a bare number of seconds.
type Seconds time.Duration

// UnmarshalText reads "30" and "30s" alike.
func (s *Seconds) UnmarshalText(text []byte) error {
	if n, err := strconv.Atoi(string(text)); err == nil {
		*s = Seconds(time.Duration(n) * time.Second)
		return nil
	}
	d, err := time.ParseDuration(string(text))
	*s = Seconds(d)
	return err
}

// FromEnvironment reads the configuration and fills in what follows from it.
func FromEnvironment() (Config, error) {
	cfg, err := env.ParseAs[Config]()
	if err != nil {
		return cfg, fmt.Errorf("configuration: %w", err)
	}
	if cfg.Group == "" && len(cfg.Topics) > 0 {
		cfg.Group = "millrace-" + cfg.Topics[0]
	}
	if cfg.ListenAddress == "" {
		cfg.ListenAddress = fmt.Sprintf(":%d", cfg.Port)
	}
	return cfg, cfg.Validate()
}

// Validate names all that is wrong in one error.
func (c Config) Validate() error {
	var wrong []error
	must := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	must(len(c.Brokers) > 0 && !slices.Contains(c.Brokers, ""), "KAFKA_BROKERS is required: host:port, separated by commas")
	must(len(c.Topics) > 0 && !slices.Contains(c.Topics, ""), "KAFKA_TOPICS is required: names, separated by commas")
	must(c.Group != "", "KAFKA_CONSUMER_GROUP is empty")
	for _, topic := range c.Topics {
		must(c.deadLetterTopic(topic) != topic, "KAFKA_DEAD_LETTER_TOPIC %q is also read: its records would go round in circles", topic)
	}
	if _, err := sarama.ParseKafkaVersion(c.Version); err != nil {
		wrong = append(wrong, fmt.Errorf("KAFKA_VERSION: %w", err))
	}
	wrong = append(wrong, c.Security.validate()...)
	sink, err := url.Parse(c.Sink)
	must(err == nil && (sink.Scheme == "http" || sink.Scheme == "https") && sink.Host != "", "K_SINK %q is no http or https URL", c.Sink)
	if _, err := c.overrides(); err != nil {
		wrong = append(wrong, fmt.Errorf("K_CE_OVERRIDES: %w", err))
	}
	must(c.Audience == "", "K_AUDIENCE is set: OIDC tokens are not supported yet")
	if _, err := rootCAs(c.CACerts); err != nil {
		wrong = append(wrong, fmt.Errorf("K_CA_CERTS: %w", err))
	}
	return errors.Join(append(wrong, c.validateLimits()...)...)
}

func (c Config) validateLimits() (wrong []error) {
	positive := func(name string, n int64) {
		if n <= 0 {
			wrong = append(wrong, fmt.Errorf("%s must be above zero, is %d", name, n))
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

func (c Config) deadLetterTopic(topic string) string {
	if c.DeadLetterTopic != "" {
		return c.DeadLetterTopic
	}
	return topic + "-dead-letter"
}

// sinkName is the sink's URL without a password, for logs and dead letters.
func (c Config) sinkName() string {
	u, err := url.Parse(c.Sink)
	if err != nil {
		return ""
	}
	u.User = nil
	return u.String()
}

// overrides reads K_CE_OVERRIDES: the JSON of duckv1.CloudEventOverrides in
// knative.dev/pkg/apis/duck/v1.
func (c Config) overrides() (map[string]string, error) {
	if strings.TrimSpace(c.Overrides) == "" {
		return nil, nil
	}
	var o struct {
		Extensions map[string]string `json:"extensions"`
	}
	if err := json.Unmarshal([]byte(c.Overrides), &o); err != nil {
		return nil, err
	}
	for name := range o.Extensions {
		if !validName([]byte(name)) || reserved(name) {
			return nil, fmt.Errorf("%q is no name of an extension: lower-case letters and digits, and no attribute of CloudEvents itself", name)
		}
	}
	return o.Extensions, nil
}
