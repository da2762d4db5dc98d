package runtime

import (
	"errors"
	"fmt"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/millrace/millrace/shared/binding"
	"github.com/millrace/millrace/shared/kafka"
	"github.com/millrace/millrace/shared/postgres"
	"github.com/millrace/millrace/shared/trace"
	"github.com/millrace/millrace/shared/views"
)

// Config is what a function process reads from its environment.
type Config struct {
	// Port is where it listens, on all addresses, unless ListenAddress says else.
	Port int `env:"PORT" envDefault:"8080"`
	// ListenAddress is a whole address, such as 127.0.0.1:8080.
	ListenAddress string `env:"LISTEN_ADDRESS"`
	// Service and Revision name the process in logs; Knative sets them.
	Service  string `env:"K_SERVICE"`
	Revision string `env:"K_REVISION"`

	Postgres postgres.Config
	// Required: the redis:// or rediss:// URL of a server, or of a cluster with its
	// other nodes as addr= parameters.
	RedisURL string `env:"REDIS_URL"`
	// Required: where emitted events and dead letters go, host:port each.
	KafkaBrokers []string `env:"KAFKA_BROKERS"`
	Kafka        kafka.Security

	// Shards is how many transactions run at once; an entity keeps to one shard.
	// More of them make batches smaller, and a small batch costs the database
	// nearly as much as a large one.
	Shards int `env:"SHARDS" envDefault:"2"`
	// MaxBatch is how many events one transaction decides at most.
	MaxBatch int `env:"MAX_BATCH" envDefault:"1000"`
	// QueueEvents is how many events may wait for a transaction.
	QueueEvents int `env:"QUEUE_EVENTS" envDefault:"20000"`
	// TenantShare is the part of the queue, in per cent, that one tenant may fill.
	TenantShare int `env:"TENANT_SHARE" envDefault:"50"`
	// Requests bounds requests in bytes.
	Requests binding.Limits
	// RequestTimeout is the deadline of a request: for room, each time half of what
	// is left at most, and then for the commit. A transaction that has begun has half
	// of it at least.
	RequestTimeout time.Duration `env:"REQUEST_TIMEOUT" envDefault:"20s"`
	// DrainTimeout is what a process has after SIGTERM to finish its requests.
	// Ten seconds more go to telling what they led to; keep the sum below the
	// pod's grace period.
	DrainTimeout time.Duration `env:"DRAIN_TIMEOUT" envDefault:"15s"`
	// EmitBacklog is how many outbox rows with events for Kafka may lie before
	// intake closes.
	EmitBacklog int `env:"EMIT_BACKLOG" envDefault:"20000"`

	Limits Limits
	Trace  trace.Config
}

// Limits bounds what a batch or a tenant may leave behind.
type Limits struct {
	// Drain is how many parked events one transaction decides.
	Drain int `env:"DRAIN_LIMIT" envDefault:"1000"`
	// Parked is how many parked events of producers a tenant may have in one
	// function; more are dead letters.
	Parked int `env:"PARKED_LIMIT" envDefault:"100000"`
	// DeadLetters is how many undecided dead letters a tenant may have open, over
	// all functions; refused ones are not counted. What would be
	// one more is refused with 422, and the trigger puts it into the dead-letter
	// topic.
	DeadLetters int `env:"DEAD_LETTER_LIMIT" envDefault:"1000000"`
}

// ParseConfig reads the environment. Its error names all that is wrong.
func ParseConfig() (Config, error) {
	c, err := env.ParseAs[Config]()
	if err := errors.Join(err, c.Validate()); err != nil {
		return c, fmt.Errorf("configuration: %s", postgres.Redact(err.Error()))
	}
	return c, nil
}

// Validate names everything that is out of range.
func (c *Config) Validate() error {
	errs := []error{c.Postgres.Validate(), c.Requests.Validate(), views.CheckURL(c.RedisURL), kafka.CheckBrokers(c.KafkaBrokers), c.Kafka.Validate(), c.Trace.Validate()}
	for _, v := range []struct {
		name       string
		value, min int
	}{
		{"PORT", c.Port, 1}, {"SHARDS", c.Shards, 1}, {"MAX_BATCH", c.MaxBatch, 1},
		{"QUEUE_EVENTS", c.QueueEvents, 1}, {"TENANT_SHARE", c.TenantShare, 1},
		{"EMIT_BACKLOG", c.EmitBacklog, 1},
		{"DRAIN_LIMIT", c.Limits.Drain, 1}, {"PARKED_LIMIT", c.Limits.Parked, 0},
		{"DEAD_LETTER_LIMIT", c.Limits.DeadLetters, 1},
	} {
		if v.value < v.min {
			errs = append(errs, fmt.Errorf("%s is %d, want at least %d", v.name, v.value, v.min))
		}
	}
	if c.RequestTimeout <= 0 {
		errs = append(errs, fmt.Errorf("REQUEST_TIMEOUT is %v, want more than 0", c.RequestTimeout))
	}
	if c.DrainTimeout <= 0 {
		errs = append(errs, fmt.Errorf("DRAIN_TIMEOUT is %v, want more than 0", c.DrainTimeout))
	}
	if int32(c.Shards) > c.Postgres.MaxConns {
		errs = append(errs, fmt.Errorf("SHARDS is %d, more than DATABASE_MAX_CONNS, %d", c.Shards, c.Postgres.MaxConns))
	}
	return errors.Join(errs...)
}

// Address returns what to listen on.
func (c *Config) Address() string {
	if c.ListenAddress != "" {
		return c.ListenAddress
	}
	return fmt.Sprintf(":%d", c.Port)
}
