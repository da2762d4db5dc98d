package runtime

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/binding"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/outbox"
)

// newIntake serves the world's function.
func newIntake(t *testing.T, w *world, change func(*Config)) (s *process, url string) {
	t.Helper()
	c := Config{Shards: 4, MaxBatch: 100, QueueEvents: 1000, TenantShare: 50, RequestTimeout: time.Minute,
		Requests: binding.Limits{BodyBytes: 1 << 24, MaxBodyBytes: 1 << 20, MaxEventBytes: 1 << 16}}
	if change != nil {
		change(&c)
	}
	s = newProcess(w.Processor, c)
	s.start()
	t.Cleanup(s.stop)
	web := httptest.NewServer(s.handler(t.Context(), w.pool))
	t.Cleanup(web.Close)
	return s, web.URL
}

func post(t *testing.T, url, contentType string, body []byte, headers ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read whole
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

func batchOf(events ...event.Received) []byte {
	out := []byte("[")
	for n, e := range events {
		if n > 0 {
			out = append(out, ',')
		}
		out = append(out, e.Raw...)
	}
	return append(out, ']')
}

func TestServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, url := newIntake(t, w, nil)
	one := add("s", "x", 0, 1).Raw
	binary := []string{"Ce-Specversion: 1.0", "Ce-Id: b%20b", "Ce-Source: /test", "Ce-Type: counter.added.v1",
		"Ce-Subject: x", "Ce-Tenantid: acme", "Ce-Time: 2026-03-01T12:00:00Z"}
	for _, test := range []struct {
		name, media string
		body        []byte
		headers     []string
		status      int
		answer      string
	}{
		{"batch", binding.BatchMedia, batchOf(add("a", "x", 0, 1), add("b", "y", 0, 1)), nil, 202, ""},
		{"batch with charset", binding.BatchMedia + "; charset=utf-8", batchOf(add("c", "x", 0, 1)), nil, 202, ""},
		{"empty batch", binding.BatchMedia, []byte("[]"), nil, 202, ""},
		{"structured", binding.StructuredMedia, one, nil, 202, ""},
		{"binary", "application/json", []byte(`{"amount":1}`), binary, 202, ""},
		{"poison in a batch", binding.BatchMedia, []byte(`[{"specversion":"1.0"},7]`), nil, 202, ""},
		{"poison alone", binding.StructuredMedia, []byte(`no event`), nil, 202, ""},
		{"binary with a header twice", "application/json", nil, append(binary, "Ce-Id: other"), 400, "Ce-Id comes 2 times"},
		{"no batch", binding.BatchMedia, []byte(`{}`), nil, 400, "want a JSON array"},
		{"cut short", binding.BatchMedia, batchOf(add("d", "x", 0, 1))[:30], nil, 400, "reading event 0"},
		{"too many events", binding.BatchMedia, []byte("[" + strings.Repeat("0,", binding.MaxEvents) + "0]"), nil, 413, "10000 events"},
		{"no event at all", "text/plain", []byte("hello"), nil, 415, "text/plain"},
		{"compressed", binding.BatchMedia, nil, []string{"Content-Encoding: gzip"}, 415, "gzip"},
		{"large body", binding.BatchMedia, make([]byte, 1<<20+1), nil, 413, "1048576 bytes"},
		{"large event", binding.BatchMedia, batchOf(add("e", "x", 0, 1, strings.Repeat("n", 1<<16))), nil, 413, "65536"},
	} {
		status, answer := post(t, url, test.media, test.body, test.headers...)
		if status != test.status || !strings.Contains(answer, test.answer) || test.answer == "" && answer != "" {
			t.Errorf("%s: got %d %q, want %d %q", test.name, status, answer, test.status, test.answer)
		}
	}
	expect(t, w.text(t, `SELECT string_agg(id, ',' ORDER BY id) FROM millrace.seen`), "a,b,b b,c,s")
	expect(t, w.text(t, `SELECT count(*)::text FROM millrace.dead_letters`), "3")
	resp, err := http.Get(url + "/health/readiness")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // nothing is read
	if resp.StatusCode != http.StatusOK {
		t.Errorf("readiness: %s", resp.Status)
	}
}

// Many requests at once, about few entities: every answer comes after its
// commit, and nothing is lost or doubled.
func TestServerUnderLoad(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, url := newIntake(t, w, nil)
	const requests, events = 40, 20
	var sent sync.WaitGroup
	for n := range requests {
		sent.Go(func() {
			var batch []event.Received
			for i := range events {
				batch = append(batch, add(fmt.Sprintf("%d-%d", n, i), fmt.Sprint("x", i%7), 0, 1))
			}
			if status, answer := post(t, url, binding.BatchMedia, batchOf(append(batch, batch...)...)); status != 202 {
				t.Errorf("got %d %s", status, answer)
			}
		})
	}
	sent.Wait()
	expect(t, w.text(t, `SELECT sum(total)::text FROM counters`), fmt.Sprint(requests*events))
	expect(t, w.text(t, `SELECT sum(value)::text FROM millrace.aggregates`), fmt.Sprint(requests*events))
	expect(t, w.text(t, `SELECT sum(version)::text FROM millrace.entities`), fmt.Sprint(requests*events))
}

// A request that the database holds up gets 504 at its deadline, one that finds
// no room gets 429; later both pass.
func TestServerOverload(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.process(t, add("first", "x", 0, 1))
	s, url := newIntake(t, w, func(c *Config) { c.QueueEvents, c.RequestTimeout = 1, 200*time.Millisecond })
	body := batchOf(add("second", "x", 0, 1))

	if err := s.intake.admission.acquire(t.Context(), want("other", 1)); err != nil {
		t.Fatal(err)
	}
	status, answer := post(t, url, binding.BatchMedia, body)
	if status != http.StatusTooManyRequests || !strings.Contains(answer, "no room for 1 events") {
		t.Errorf("got %d %s while there is no room, want 429", status, answer)
	}
	s.intake.admission.release(map[string]int{"other": 1})

	blocker, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := blocker.Exec(t.Context(), `SELECT FROM millrace.entities FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	if status, _ := post(t, url, binding.BatchMedia, body); status != http.StatusGatewayTimeout {
		t.Errorf("got %d while the database does not go on, want 504", status)
	}
	if err := blocker.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	stacktest.Eventually(t, time.Minute, "the shard to let go of the first", func(context.Context) bool {
		status, _ := post(t, url, binding.BatchMedia, body)
		return status == http.StatusAccepted
	})
	expect(t, w.text(t, `SELECT total::text FROM counters`), "2")
}

// replyLoser drops the connection when the server says COMMIT: it has
// committed, and nobody hears of it.
type replyLoser struct {
	net.Conn
	lose *atomic.Int32 // how many replies are still to be lost
}

func (c *replyLoser) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if bytes.Contains(b[:n], []byte("COMMIT")) && c.lose.Add(-1) >= 0 {
		_ = c.Conn.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

func TestCommitReplyLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	config, err := pgxpool.ParseConfig(w.url)
	if err != nil {
		t.Fatal(err)
	}
	config.MaxConns = 1
	var lose atomic.Int32
	config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return &replyLoser{Conn: conn, lose: &lose}, err
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	p := NewProcessor(newCounter(), pool, Limits{Drain: 3, Parked: 100, DeadLetters: 100}, slog.New(slog.DiscardHandler), func(outbox.Claim) {})
	lose.Store(1)
	outcomes, err := p.Process(t.Context(), []event.Received{add("a", "x", 1, 1), add("b", "x", 2, -1)})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, kinds(outcomes), "duplicate duplicate ")
	if lose.Load() >= 1 {
		t.Error("no reply was lost")
	}
	expect(t, w.summary(t, "x"), "total=1 version=2 stream=2+0 audit=a:applied,b:refused dead=b:negative")
}
