package relay

import (
	"errors"
	"fmt"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/millrace/millrace/shared/kafka"
	"github.com/millrace/millrace/shared/postgres"
	"github.com/millrace/millrace/shared/runtime"
	"github.com/millrace/millrace/shared/trace"
	"github.com/millrace/millrace/shared/views"
)

// Config is what the process reads from its environment; durations are written
// as Go writes them ("30s").
type Config struct {
	// Port is where it listens, on all addresses, unless ListenAddress says else.
	Port int `env:"PORT" envDefault:"8080"`
	// ListenAddress is a whole address, such as 127.0.0.1:8080.
	ListenAddress string `env:"LISTEN_ADDRESS"`

	Postgres postgres.Config
	// Required: the redis:// or rediss:// URL of a server, or of a cluster with its
	// other nodes as addr= parameters.
	RedisURL string `env:"REDIS_URL"`
	// Required: where events and dead letters go, host:port each.
	KafkaBrokers []string `env:"KAFKA_BROKERS"`
	Kafka        kafka.Security

	// Interval is the time between two sweeps of its own; 0: it sweeps only when
	// it is asked to.
	Interval time.Duration `env:"RELAY_INTERVAL" envDefault:"0"`
	// OlderThan is the age from which a row is swept. Younger ones are left to
	// the process that wrote them.
	OlderThan time.Duration `env:"RELAY_OLDER_THAN" envDefault:"5s"`
	// BatchRows is how many rows are published at a time, at most.
	BatchRows int `env:"RELAY_BATCH_ROWS" envDefault:"500"`
	// Lease is how long a row that was taken is left alone, and so the time after
	// which what failed is tried again.
	Lease time.Duration `env:"RELAY_LEASE" envDefault:"15s"`
	// DrainTimeout is what the process has after SIGTERM to finish what it
	// publishes. Keep it below the pod's grace period.
	DrainTimeout time.Duration `env:"DRAIN_TIMEOUT" envDefault:"20s"`

	// Limits bounds what deciding parked events may leave behind.
	Limits runtime.Limits
	Trace  trace.Config
}

// FromEnvironment reads the configuration. Its error names all that is wrong.
func FromEnvironment() (Config, error) {
	c, err := env.ParseAs[Config]()
	if err := errors.Join(err, c.Validate()); err != nil {
		return c, fmt.Errorf("configuration: %s", postgres.Redact(err.Error()))
	}
	return c, nil
}

// Validate names everything that is wrong.
func (c *Config) Validate() error {
	errs := []error{c.Postgres.Validate(), views.CheckURL(c.RedisURL), kafka.CheckBrokers(c.KafkaBrokers), c.Kafka.Validate(), c.Trace.Validate()}
	for _, v := range []struct {
		name       string
		value, min int64
	}{
		{"PORT", int64(c.Port), 1}, {"RELAY_BATCH_ROWS", int64(c.BatchRows), 1},
		{"DRAIN_LIMIT", int64(c.Limits.Drain), 1}, {"PARKED_LIMIT", int64(c.Limits.Parked), 0},
		{"DEAD_LETTER_LIMIT", int64(c.Limits.DeadLetters), 1},
	} {
		if v.value < v.min {
			errs = append(errs, fmt.Errorf("%s is %d, want at least %d", v.name, v.value, v.min))
		}
	}
	for _, v := range []struct {
		name       string
		value, min time.Duration
	}{
		{"RELAY_INTERVAL", c.Interval, 0}, {"RELAY_OLDER_THAN", c.OlderThan, 0},
		{"RELAY_LEASE", c.Lease, time.Second}, {"DRAIN_TIMEOUT", c.DrainTimeout, time.Second},
	} {
		if v.value < v.min {
			errs = append(errs, fmt.Errorf("%s is %v, want at least %v", v.name, v.value, v.min))
		}
	}
	return errors.Join(errs...)
}

func (c *Config) address() string {
	if c.ListenAddress != "" {
		return c.ListenAddress
	}
	return fmt.Sprintf(":%d", c.Port)
}
