package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/binding"
	"github.com/millrace/millrace/shared/fault"
)

// raw speaks HTTP by hand.
type raw struct {
	t testing.TB
	net.Conn
	in *bufio.Reader
}

func dial(t *testing.T, url string) *raw {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &raw{t, conn, bufio.NewReader(conn)}
}

// say sends lines, which end as HTTP wants it.
func (r *raw) say(lines ...string) {
	r.t.Helper()
	if _, err := io.WriteString(r, strings.Join(lines, "\r\n")); err != nil {
		r.t.Fatal(err)
	}
}

// hear reads one answer; status 0 means that the connection was closed.
func (r *raw) hear() (status int, body string) {
	r.t.Helper()
	answer, err := http.ReadResponse(r.in, nil)
	if err != nil {
		return 0, ""
	}
	defer answer.Body.Close()          //nolint:errcheck // read as far as it goes
	text, _ := io.ReadAll(answer.Body) // a server that has heard enough may reset the connection
	return answer.StatusCode, string(text)
}

func (r *raw) wants(name string, status int, text string) {
	r.t.Helper()
	if got, body := r.hear(); got != status || !strings.Contains(body, text) {
		r.t.Errorf("%s: got %d %s, want %d %s", name, got, body, status, text)
	}
}

// head begins a request in binary mode, and may lie about its length.
func head(url string, more ...string) []string {
	lines := []string{"POST / HTTP/1.1", "Host: " + strings.TrimPrefix(url, "http://"), "Content-Type: application/json"}
	return append(append(lines, binary("e")...), more...)
}

const chunked = "Transfer-Encoding: chunked"

// What two servers could read differently, and what is malformed, gets 400 and
// the connection is closed.
func TestAmbiguousRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, test := range []struct {
		name   string
		lines  []string
		status int
		text   string
	}{
		{"both", head(w.url, "Content-Length: 2", chunked, "", "2", "{}", "0", "", ""), 400, "exclude each other"},
		{"both, turned", head(w.url, chunked, "content-length:2", "", "2", "{}", "0", "", ""), 400, "exclude each other"},
		{"both, by bare newlines", []string{strings.Join(head(w.url, "Content-Length: 2", chunked, "", "2\r\n{}\r\n0\r\n\r\n"), "\n")}, 400, "exclude each other"},
		{"two lengths", head(w.url, "Content-Length: 2", "Content-Length: 3", "", "{}"), 400, ""},
		{"a negative length", head(w.url, "Content-Length: -2", "", "{}"), 400, ""},
		{"a folded length", head(w.url, "Content-Length: 2,2", "", "{}"), 400, ""},
		{"an unknown encoding", head(w.url, "Transfer-Encoding: gzip, chunked", "", ""), 501, ""},
		{"a bad chunk", head(w.url, chunked, "", "zz", "{}", "0", "", ""), 400, ""},
		{"a space before the colon", head(w.url, "Content-Length : 2", "", "{}"), 400, ""},
		{"a header twice", head(w.url, "Ce-Id: f", "Content-Length: 2", "", "{}"), 400, "Ce-Id comes 2 times"},
		{"no host", []string{"POST / HTTP/1.1", "Content-Length: 0", "", ""}, 400, ""},
		{"two hosts", head(w.url, "Host: other", "Content-Length: 2", "", "{}"), 400, ""},
		{"another host", []string{"POST / HTTP/1.1", "Host: evil.example", "Content-Length: 0", "", ""}, 421, "evil.example"},
		{"a large header", head(w.url, "X: "+strings.Repeat("x", 80<<10), "", ""), 431, ""},
		{"a body that ends early", head(w.url, chunked, "", "5", "{"), 400, "ended early"},
	} {
		r := dial(t, w.url)
		r.say(test.lines...)
		if test.name == "a body that ends early" {
			if half, ok := r.Conn.(*net.TCPConn); !ok || half.CloseWrite() != nil {
				t.Fatal("the connection cannot be closed by half")
			}
		}
		r.wants(test.name, test.status, test.text)
	}
	w.stored(t, 0)
}

// A connection may be used again, with bodies in either form; only what comes in
// chunks on the heels of another request is refused.
func TestConnectionUsedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	r := dial(t, w.url)
	one, other := head(w.url, chunked, "", "2", "{}", "0", "", ""), head(w.url, "Content-Length: 2", "", "{}")
	for n, lines := range [][]string{one, other, one, one, other} {
		r.say(lines...)
		r.wants(fmt.Sprint(n), 202, "")
	}
	r.say(append(other, "\r\n"+strings.Join(other, "\r\n"))...)
	r.wants("first of two", 202, "")
	r.wants("second of two", 202, "")
	r.say(head(w.url, "Content-Length: 2", "", "{}"+strings.Join(one, "\r\n"))...)
	r.wants("first of two", 202, "")
	r.wants("second in chunks", 400, "has to wait")
	r.wants("closed", 0, "")
	w.stored(t, 8)
}

// Whoever takes too long is cut off: for the header, for the body, and between
// two requests.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	const short = 300 * time.Millisecond
	w := newWorld(t, func(c *Config) { c.HeaderTimeout, c.ReadTimeout, c.IdleTimeout = short, short, short })
	slow := dial(t, w.url)
	slow.say("POST / HTTP/1.1", "X-Header: that never e")
	slow.wants("header", 0, "")

	endless := dial(t, w.url)
	endless.say(head(w.url, chunked, "", "")...)
	quit := make(chan struct{})
	go func() { // a byte now and then, for ever
		defer close(quit)
		for range time.Tick(20 * time.Millisecond) {
			if _, err := io.WriteString(endless, "1\r\nx\r\n"); err != nil {
				return
			}
		}
	}()
	endless.wants("body", 408, "did not come in time")
	<-quit // the connection is closed

	idle := dial(t, w.url)
	idle.say(head(w.url, "Content-Length: 2", "", "{}")...)
	idle.wants("first", 202, "")
	idle.wants("idle", 0, "")
}

// An endless body is cut off at the limit, however fast it comes.
func TestEndlessBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) {
		c.Requests = binding.Limits{BodyBytes: 1 << 20, MaxBodyBytes: 1 << 16, MaxEventBytes: 1 << 16}
	})
	r := dial(t, w.url)
	r.say(head(w.url, chunked, "", "")...)
	chunk := "1000\r\n" + strings.Repeat("x", 4096) + "\r\n"
	go func() {
		for {
			if _, err := io.WriteString(r, chunk); err != nil {
				return
			}
		}
	}()
	r.wants("endless", 413, "65536 bytes")
}

// A request that finds no room gives up while Kafka could still answer.
func TestHalfOfTheTimeIsForKafka(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &Gateway{room: semaphore.NewWeighted(0)}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		began := time.Now()
		if err := g.enter(ctx, nil); fault.KindOf(err) != fault.Overloaded {
			t.Errorf("got %v, want overloaded", err)
		}
		if got := time.Since(began); got != 10*time.Second {
			t.Errorf("it waited %v, want 10s", got)
		}
	})
}

// With no room left a request waits for half of its time, and then gets 429.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.InFlight, c.RequestTimeout = 1, 200*time.Millisecond })
	if err := w.room.Acquire(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	full := request{"/", binding.StructuredMedia, structured("e", nil), nil}
	answer := w.send(t, full)
	answer.wants(t, "no room", http.StatusTooManyRequests, "1 requests are in flight already")
	if answer.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", answer.header.Get("Retry-After"))
	}
	w.room.Release(1)
	stacktest.Eventually(t, time.Minute, "the first connection to Kafka", func(context.Context) bool {
		answer = w.send(t, full)
		return answer.status != http.StatusServiceUnavailable
	})
	answer.wants(t, "room", http.StatusAccepted, "")
}
