package stack

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Ports for those who do not care which. They lie below what systems give to
// outgoing connections (Linux from 32768, others from 49152): a server that is
// started again would sometimes find its port taken by one of those.
const firstFreePort, lastFreePort = 20_000, 32_767

var givenPorts sync.Map // ports that FreePort has given

// FreePort finds a TCP port on 127.0.0.1 that nobody listens on at the moment,
// another one at each call. Another process may take it before it is used:
// callers try again.
func FreePort() (int, error) {
	for range 1000 {
		port := firstFreePort + rand.IntN(lastFreePort-firstFreePort+1)
		if ln, err := listen(port); err == nil {
			_, given := givenPorts.LoadOrStore(port, true)
			if err := ln.Close(); err == nil && !given {
				return port, nil
			}
		}
	}
	return 0, fmt.Errorf("no free port was found between %d and %d", firstFreePort, lastFreePort)
}

// Port is one on 127.0.0.1 that a part needs; Number 0 means a free one.
type Port struct {
	// Part is what needs the port, Option how to choose another.
	Part, Option string
	Number       int
}

// PortInUseError says that a port cannot be listened on.
type PortInUseError struct {
	Port
	// Reason is in most cases that it is in use.
	Reason string
}

func (e *PortInUseError) Error() string {
	return fmt.Sprintf("port %d, which %s needs, %s: stop what listens there or choose another with %s", e.Number, e.Part, e.Reason, e.Option)
}

// PortsInUseError says so of several.
type PortsInUseError []*PortInUseError

func (e PortsInUseError) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d ports that are needed cannot be had: stop what listens there or choose others", len(e))
	for _, one := range e {
		fmt.Fprintf(&text, "\n  %-5d  %s: %s (%s)", one.Number, one.Part, one.Reason, one.Option)
	}
	return text.String()
}

// CheckPorts tries all ports and returns a [PortInUseError] or a
// [PortsInUseError] if there are such as cannot be listened on, or two alike.
func CheckPorts(ports ...Port) error {
	var bad PortsInUseError
	holder := map[int]string{}
	for _, p := range ports {
		if p.Number == 0 {
			continue
		}
		if other, ok := holder[p.Number]; ok {
			bad = append(bad, &PortInUseError{p, "is given to " + other + " too"})
			continue
		}
		holder[p.Number] = p.Part
		ln, err := listen(p.Number)
		if err != nil {
			bad = append(bad, &PortInUseError{p, unavailable(err)})
			continue
		}
		if err := ln.Close(); err != nil {
			return err
		}
	}
	switch len(bad) {
	case 0:
		return nil
	case 1:
		return bad[0]
	default:
		return bad
	}
}

func unavailable(err error) string {
	if errors.Is(err, syscall.EADDRINUSE) {
		return "is in use"
	}
	return "cannot be listened on: " + err.Error()
}

// The ports of the parts of the stack, with what chooses others.

// KafkaPort is one of Kafka's.
func KafkaPort(n int) Port {
	return Port{"Kafka", "--kafka-port, or KAFKA_BROKERS for one that runs already", n}
}

// PostgresPort is PostgreSQL's.
func PostgresPort(n int) Port {
	return Port{"PostgreSQL", "--postgres-port, or DATABASE_URL for one that runs already", n}
}

// RedisPort is that of Redis.
func RedisPort(n int) Port {
	return Port{"Redis", "--redis-port, or REDIS_URL for one that runs already", n}
}

// listens returns nil if somebody listens on the port.
func listens(ctx context.Context, port int) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return conn.Close()
}

func listen(port int) (net.Listener, error) {
	var config net.ListenConfig
	return config.Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}

// portOf is the port in a URL, 0 if it names none.
func portOf(address string) int {
	u, err := url.Parse(address)
	if err != nil {
		return 0
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		return 0
	}
	return port
}

// publicURL is a URL for people to see: a password that came from the
// environment is nobody else's business.
func publicURL(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "(a URL that cannot be read)"
	}
	return u.Redacted()
}
