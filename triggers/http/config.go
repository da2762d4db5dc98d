package gateway

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/millrace/millrace/shared/binding"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/kafka"
	"github.com/millrace/millrace/shared/trace"
)

// Config is what the gateway is told by its environment; durations are written
// as Go writes them ("30s").
type Config struct {
	// Port is where it listens: with OIDC_ISSUER on all addresses, without on
	// 127.0.0.1.
	Port int `env:"PORT" envDefault:"8080"`
	// ListenAddress is a whole address instead, such as 127.0.0.1:8080. Without
	// OIDC_ISSUER it must be a loopback address.
	ListenAddress string `env:"LISTEN_ADDRESS"`
	// SubscriberAddress is a second address, such as :8081, that serves POST /
	// without authentication, for a Knative Broker's Trigger in the cluster.
	// The network has to guard it.
	SubscriberAddress string `env:"SUBSCRIBER_ADDRESS"`
	// Service is set by Knative, which sends requests from anywhere to the
	// loopback address: with it OIDC_ISSUER is required.
	Service string `env:"K_SERVICE"`
	// OIDC says whose tokens are believed, and what they allow.
	OIDC OIDC

	// Required: the Kafka bootstrap servers, host:port each.
	Brokers []string `env:"KAFKA_BROKERS"`
	// Security of the connection to Kafka.
	Security kafka.Security

	// Source is the source of calls, and of events that come as plain JSON.
	Source string `env:"SOURCE" envDefault:"millrace-http"`
	// Calls are the URLs of functions for synchronous calls, function=URL each;
	// the function * is all others, and {function} in its URL is the name. Empty:
	// no calls.
	Calls CallURLs `env:"CALL_URLS"`

	Trace trace.Config

	// Requests bounds requests in bytes.
	Requests binding.Limits
	// InFlight is how many requests are worked on at one time; others wait.
	InFlight int `env:"MAX_IN_FLIGHT" envDefault:"256"`
	// RequestTimeout is the deadline of a request: for room, each time half of what
	// is left at most, and then for Kafka or the function. Keep it above that of the
	// functions, so that their answer is heard.
	RequestTimeout time.Duration `env:"REQUEST_TIMEOUT" envDefault:"25s"`
	// HeaderTimeout and ReadTimeout bound how long a client may take to send the
	// header, and all of a request.
	HeaderTimeout time.Duration `env:"READ_HEADER_TIMEOUT" envDefault:"5s"`
	ReadTimeout   time.Duration `env:"READ_TIMEOUT" envDefault:"30s"`
	// IdleTimeout is how long a connection may wait for the next request.
	IdleTimeout time.Duration `env:"IDLE_TIMEOUT" envDefault:"2m"`
	// DrainTimeout is what requests have to end after SIGTERM. Keep it below the
	// pod's grace period.
	DrainTimeout time.Duration `env:"DRAIN_TIMEOUT" envDefault:"25s"`
}

// FromEnvironment reads the configuration. Its error names all that is wrong.
func FromEnvironment() (Config, error) {
	c, err := env.ParseAs[Config]()
	if err := errors.Join(err, c.Validate()); err != nil {
		return c, fmt.Errorf("configuration: %w", err)
	}
	return c, nil
}

// Validate names everything that is wrong.
func (c *Config) Validate() error {
	wrong := []error{c.Security.Validate(), kafka.CheckBrokers(c.Brokers), c.Requests.Validate(), c.OIDC.validate(), c.validateAddress(), c.Calls.validate(), c.Trace.Validate()}
	must := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	source := event.Event{Source: c.Source}
	must(c.Source != "" && len(c.Source) <= event.MaxSource && !strings.ContainsAny(c.Source, " \t\r\n") && !source.Emitted(),
		"SOURCE %q is empty, too long, has a space, or begins with %s", c.Source, event.ReservedSource)
	must(c.InFlight > 0, "MAX_IN_FLIGHT must be above zero, is %d", c.InFlight)
	for name, d := range map[string]time.Duration{
		"REQUEST_TIMEOUT": c.RequestTimeout, "READ_HEADER_TIMEOUT": c.HeaderTimeout, "READ_TIMEOUT": c.ReadTimeout,
		"IDLE_TIMEOUT": c.IdleTimeout, "DRAIN_TIMEOUT": c.DrainTimeout,
	} {
		must(d > 0, "%s must be above zero, is %v", name, d)
	}
	return errors.Join(wrong...)
}

func (c *Config) validateAddress() error {
	if c.OIDC.Issuer != "" {
		return nil
	}
	if c.Service != "" {
		return errors.New("OIDC_ISSUER is required on Knative: its proxy brings requests from anywhere to the loopback address")
	}
	if !loopback(c.address()) {
		return fmt.Errorf("LISTEN_ADDRESS %s is no loopback address: anybody could write into Kafka; set OIDC_ISSUER and OIDC_AUDIENCE, or listen on 127.0.0.1", c.address())
	}
	return nil
}

func (c *Config) address() string {
	switch {
	case c.ListenAddress != "":
		return c.ListenAddress
	case c.OIDC.Issuer == "":
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Port))
	}
	return fmt.Sprintf(":%d", c.Port)
}

// loopback reports whether only this machine reaches an address, or a host as
// a request names it.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = strings.Trim(address, "[]")
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
