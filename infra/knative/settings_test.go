package knative

import (
	"fmt"
	"maps"
	"reflect"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/millrace/millrace/shared/runtime"
	"github.com/millrace/millrace/triggers/kafka"
	"github.com/millrace/millrace/triggers/relay"
)

// settings are those of a process, as its own code reads them.
type settings struct {
	port        int
	connections int           // to PostgreSQL, at most
	drain       time.Duration // what may pass after SIGTERM
	request     time.Duration // what a request may take; 0: no matter
	topics      []string
	group       string
}

// part is a kind of process, by its label millrace.dev/part.
type part struct {
	config reflect.Type
	read   func(environment map[string]string) (settings, error)
}

func (p part) settings(environment map[string]string) (settings, error) {
	if p.read == nil {
		return settings{}, nil
	}
	return p.read(environment)
}

var parts = map[string]part{
	"function": {reflect.TypeFor[runtime.Config](), func(environment map[string]string) (settings, error) {
		c, err := parse[runtime.Config](environment)
		if err == nil {
			err = c.Validate()
		}
		return settings{
			port: c.Port, connections: int(c.Postgres.MaxConns), request: c.RequestTimeout,
			// Its Config says so: ten seconds more go to telling.
			drain: c.DrainTimeout + 10*time.Second,
		}, err
	}},
	"kafka-trigger": {reflect.TypeFor[kafka.Config](), func(environment map[string]string) (settings, error) {
		c, err := parse[kafka.Config](environment)
		if err == nil {
			err = c.Validate()
		}
		return settings{
			port: c.Port, drain: c.DrainTimeout, request: time.Duration(c.SinkTimeout),
			topics: c.Topics, group: c.Group,
		}, err
	}},
	"relay": {reflect.TypeFor[relay.Config](), func(environment map[string]string) (settings, error) {
		c, err := parse[relay.Config](environment)
		if err == nil {
			err = c.Validate()
		}
		return settings{port: c.Port, connections: int(c.Postgres.MaxConns), drain: c.DrainTimeout}, err
	}},
	// Its code is not here yet, so no variable of it is checked; the times are
	// those that its manifest names.
	"http": {nil, func(map[string]string) (settings, error) {
		return settings{port: 8080, drain: 25 * time.Second, request: 25 * time.Second}, nil
	}},
}

func parse[C any](environment map[string]string) (C, error) {
	return env.ParseAsWithOptions[C](env.Options{Environment: environment})
}

// variables are the names that a Config reads, in the structs within it too.
func variables(config reflect.Type) map[string]bool {
	names := map[string]bool{}
	for field := range config.Fields() {
		if name, _, _ := strings.Cut(field.Tag.Get("env"), ","); name != "" {
			names[name] = true
		}
		if field.Type.Kind() == reflect.Struct {
			maps.Copy(names, variables(field.Type))
		}
	}
	return names
}

// checkSettings holds what manifests tell processes to what these read.
func checkSettings(m manifests) (errs []error) {
	for _, p := range pods(m) {
		kind, ok := parts[p.part]
		if !ok {
			errs = append(errs, fmt.Errorf("%s: label millrace.dev/part %q is no part of Millrace", p.name, p.part))
			continue
		}
		environment, missing := p.environment(m)
		errs = append(errs, missing...)
		for name := range environment {
			_, byKnative := p.injected[name]
			known := kind.config == nil || variables(kind.config)[name] || name == "GOMEMLIMIT" // which Go itself reads
			if !known && !byKnative {
				errs = append(errs, fmt.Errorf("%s: no code reads %s", p.name, name))
			}
		}
		if _, err := kind.read(environment); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.name, err))
		}
	}
	return errs
}
