package gateway

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/millrace/millrace/shared/fault"
)

// A request with Content-Length and Transfer-Encoding says two things about
// where it ends. Whoever stands before the gateway may believe the other one,
// and take the rest for a request of its own. RFC 9112, section 6.3, calls for
// an error; net/http drops the Content-Length without a word, so the header has
// to be looked at as it came.

// headConn keeps the bytes of a request's header as they come, up to a limit
// that is above the server's own.
type headConn struct {
	net.Conn

	most int

	mu       sync.Mutex
	head     []byte
	complete bool
}

type headListener struct {
	net.Listener

	most int
}

func (l headListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &headConn{Conn: conn, most: l.most}, nil
}

func (c *headConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.complete {
		return n, err
	}
	c.head = append(c.head, b[:n]...)
	c.complete = bytes.Contains(c.head, []byte("\n\r\n")) || bytes.Contains(c.head, []byte("\n\n")) || len(c.head) > c.most
	return n, err
}

// next is told between two requests.
func (c *headConn) next() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.head, c.complete = c.head[:0], false
}

type headKey struct{}

// watchHeads makes a server's connections keep headers for checkFraming.
func watchHeads(s *http.Server) {
	s.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, headKey{}, conn)
	}
	s.ConnState = func(conn net.Conn, state http.ConnState) {
		if c, ok := conn.(*headConn); ok && state == http.StateIdle {
			c.next()
		}
	}
}

// checkFraming refuses a request with both headers. One in chunks that came on
// the heels of another cannot be looked at, and is refused too.
func checkFraming(w http.ResponseWriter, r *http.Request) error {
	c, ok := r.Context().Value(headKey{}).(*headConn)
	if !ok || len(r.TransferEncoding) == 0 {
		return nil
	}
	c.mu.Lock()
	lines := strings.Split(strings.TrimLeft(string(c.head), "\r\n"), "\n")
	c.mu.Unlock()
	line := strings.TrimSuffix(lines[0], "\r")
	want := r.Method + " " + r.RequestURI + " " + r.Proto
	var why string
	switch {
	// The server may have read the first byte before it went idle.
	case line != want && line != want[1:]:
		why = "a request in chunks has to wait for the answer to the one before"
	case hasLength(lines[1:]):
		why = "Content-Length and Transfer-Encoding exclude each other"
	default:
		return nil
	}
	w.Header().Set("Connection", "close")
	return fault.New(fault.Unreadable, "%s", why)
}

// hasLength looks at the lines of a header, and not at what follows it.
func hasLength(lines []string) bool {
	for _, line := range lines {
		name, _, _ := strings.Cut(line, ":")
		if strings.TrimSpace(name) == "" {
			return false
		}
		if strings.EqualFold(strings.TrimSpace(name), "Content-Length") {
			return true
		}
	}
	return false
}
