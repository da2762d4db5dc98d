package cli

import (
	"errors"
	"fmt"

	"github.com/caarlos0/env/v11"

	"github.com/millrace/millrace/infra/platform"
	"github.com/millrace/millrace/shared/kafka"
)

// named are the servers that the environment names.
func named() (platform.Addresses, error) {
	var from struct {
		KafkaBrokers []string `env:"KAFKA_BROKERS"`
		Kafka        kafka.Security
		DatabaseURL  string `env:"DATABASE_URL"`
		RedisURL     string `env:"REDIS_URL"`
	}
	err := errors.Join(env.Parse(&from), from.Kafka.Validate())
	return platform.Addresses{
		KafkaBrokers: from.KafkaBrokers, Kafka: from.Kafka, DatabaseURL: from.DatabaseURL, RedisURL: from.RedisURL,
	}, err
}

// locate finds the servers that a command talks to: those that the environment
// names, else those of the platform that runs on the data folder. needs lists
// the variables that the command cannot do without.
func (a *app) locate(needs ...string) (platform.Addresses, error) {
	from, err := named()
	if err != nil {
		return platform.Addresses{}, err
	}
	at, missing := a.local()
	if len(from.KafkaBrokers) > 0 {
		at.KafkaBrokers, at.Kafka = from.KafkaBrokers, from.Kafka
	}
	if from.DatabaseURL != "" {
		at.DatabaseURL = from.DatabaseURL
	}
	if from.RedisURL != "" {
		at.RedisURL = from.RedisURL
	}
	name := lacks(at, needs)
	if name != "" && errors.Is(missing, errStarting) {
		return at, missing
	}
	if name != "" {
		return at, fmt.Errorf("%w, and %s is not set: start it with `millrace up`, or set %s to use servers elsewhere", missing, name, name)
	}
	return at, nil
}

// lacks is the first variable of needs that at has no value for, or "".
func lacks(at platform.Addresses, needs []string) string {
	have := map[string]bool{
		"KAFKA_BROKERS": len(at.KafkaBrokers) > 0, "DATABASE_URL": at.DatabaseURL != "", "REDIS_URL": at.RedisURL != "",
	}
	for _, name := range needs {
		if !have[name] {
			return name
		}
	}
	return ""
}

var errStarting = errors.New("the platform is starting or stopping")

// local is the platform on the data folder, or the reason why there is none.
func (a *app) local() (platform.Addresses, error) {
	folders, err := a.folders()
	if err != nil {
		return platform.Addresses{}, errors.New("no platform is known outside of a checkout (change into it, or name its data folder with --dir)")
	}
	at, err := platform.ReadAddresses(folders.Data)
	if !errors.Is(err, platform.ErrNotRunning) {
		return at, err
	}
	if pid := platform.Starting(folders.Data); pid != 0 {
		return at, fmt.Errorf("%w on %s: wait until process %d says that it is up", errStarting, folders.Data, pid)
	}
	return at, fmt.Errorf("no platform runs on %s", folders.Data)
}
