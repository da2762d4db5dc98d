package kafka

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/millrace/millrace/shared/kafka"
	"github.com/millrace/millrace/shared/postgres"
	"github.com/millrace/millrace/shared/trace"
)

// Config is what the trigger is told by its environment. The K_ variables are
// those that a Knative SinkBinding or ContainerSource sets; durations are
// written as Go writes them ("30s").
type Config struct {
	// Required: the Kafka bootstrap servers, host:port.
	Brokers []string `env:"KAFKA_BROKERS"`
	// Required: the topics that are read, each from its earliest record on.
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
	Security kafka.Security

	// Required: the URL that batches are posted to.
	Sink string `env:"K_SINK"`
	// Overrides are extensions set on every event: {"extensions":{"name":"value"}}.
	Overrides string `env:"K_CE_OVERRIDES"`
	// CACerts are certificates trusted for the sink beside the system's own, as PEM.
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

	Trace trace.Config

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
	if cfg.Group == "" && len(cfg.Topics) > 0 {
		cfg.Group = "millrace-" + cfg.Topics[0]
	}
	if cfg.ListenAddress == "" {
		cfg.ListenAddress = fmt.Sprintf(":%d", cfg.Port)
	}
	if err := errors.Join(err, cfg.Validate()); err != nil {
		return cfg, fmt.Errorf("configuration: %s", postgres.Redact(err.Error()))
	}
	return cfg, nil
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
	var o struct {
		Extensions map[string]string `json:"extensions"`
	}
	if strings.TrimSpace(c.Overrides) == "" {
		return o.Extensions, nil
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
