package knative

import (
	"fmt"
	"maps"
	"net"
	"reflect"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/millrace/millrace/infra/maintenance"
	"github.com/millrace/millrace/shared/runtime"
	gateway "github.com/millrace/millrace/triggers/http"
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
	open        bool // to whoever reaches the port: nobody is asked for a token
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
			port: port(c.Port, c.ListenAddress), connections: int(c.Postgres.MaxConns), request: c.RequestTimeout,
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
			port: port(c.Port, c.ListenAddress), drain: c.DrainTimeout, request: time.Duration(c.SinkTimeout),
			topics: c.Topics, group: c.Group,
		}, err
	}},
	"relay": {reflect.TypeFor[relay.Config](), func(environment map[string]string) (settings, error) {
		c, err := parse[relay.Config](environment)
		if err == nil {
			err = c.Validate()
		}
		return settings{port: port(c.Port, c.ListenAddress), connections: int(c.Postgres.MaxConns), drain: c.DrainTimeout}, err
	}},
	"maintain": {reflect.TypeFor[maintenance.Settings](), func(environment map[string]string) (settings, error) {
		s, err := parse[maintenance.Settings](environment)
		if err == nil {
			err = s.Validate()
		}
		return settings{connections: 1}, err
	}},
	"http": {reflect.TypeFor[gateway.Config](), func(environment map[string]string) (settings, error) {
		c, err := parse[gateway.Config](environment)
		if err == nil {
			err = c.Validate()
		}
		return settings{
			port: port(c.Port, c.ListenAddress, c.SubscriberAddress), drain: c.DrainTimeout, request: c.RequestTimeout,
			open: c.SubscriberAddress != "",
		}, err
	}},
}

func parse[C any](environment map[string]string) (C, error) {
	return env.ParseAsWithOptions[C](env.Options{Environment: environment})
}

// port is that of the last address which is given.
func port(otherwise int, addresses ...string) int {
	for _, address := range addresses {
		if _, text, err := net.SplitHostPort(address); err == nil {
			otherwise = number(text, 0)
		}
	}
	return otherwise
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
			known := variables(kind.config)[name] || name == "GOMEMLIMIT" || name == "GOGC" // which Go itself reads
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
