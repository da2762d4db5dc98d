package stack

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"strconv"
	"sync"
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

// PortInUseError says that somebody else listens where a part should.
type PortInUseError struct {
	// Part is what wanted the port, Option how to choose another.
	Part, Option string
	Port         int
}

func (e *PortInUseError) Error() string {
	return fmt.Sprintf("port %d, which %s needs, is in use: stop what listens there or choose another with %s", e.Port, e.Part, e.Option)
}

// CheckPort returns a [PortInUseError] if the port cannot be listened on.
func CheckPort(part string, port int, option string) error {
	if port == 0 {
		return nil
	}
	ln, err := listen(port)
	if err != nil {
		return &PortInUseError{Part: part, Option: option, Port: port}
	}
	return ln.Close()
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
