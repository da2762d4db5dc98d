package kafka

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/shared/kafka"
)

// What is read of a response: enough to use the connection again, and as much
// for the cause of a dead letter as Knative's own dispatcher keeps.
const (
	drainBytes = 64 << 10
	causeBytes = 1 << 10
)

// maxRetryAfter bounds what a sink may ask for.
const maxRetryAfter = 5 * time.Minute

// sink posts batches to K_SINK.
type sink struct {
	url     string
	client  *http.Client
	timeout time.Duration
	bodies  sync.Pool
	keep    int // larger bodies are not kept for the next request
}

func newSink(cfg Config) (*sink, error) {
	roots, err := kafka.RootCAs(cfg.CACerts)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:   true,
		DisableCompression:  true,
		MaxIdleConns:        cfg.InFlight + 1, // the cells' one request too
		MaxIdleConnsPerHost: cfg.InFlight + 1,
		IdleConnTimeout:     90 * time.Second,
	}
	return &sink{
		url: cfg.Sink,
		client: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		timeout: time.Duration(cfg.SinkTimeout),
		keep:    2 * cfg.BatchBytes,
	}, nil
}

// post sends the records as one batch and says what became of it.
func (s *sink) post(ctx context.Context, records []*record) outcome {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	body := s.body(records)
	defer s.reuse(body)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, body)
	if err != nil {
		return outcome{verdict: retry, err: err}
	}
	req.ContentLength = int64(len(body.content))
	req.Header.Set("Content-Type", "application/cloudevents-batch+json")
	resp, err := s.client.Do(req)
	if err != nil {
		return outcome{verdict: retry, err: err, suspect: !isDial(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	data, _ := io.ReadAll(io.LimitReader(resp.Body, causeBytes))
	_, _ = io.CopyN(io.Discard, resp.Body, drainBytes)
	return judge(resp.StatusCode, resp.Header.Get("Retry-After"), data)
}

// isDial tells that no connection came about: it says nothing about the batch.
func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// requestBody is a buffer that is used again, but not before the transport is
// through with it: that may be after Do has returned.
type requestBody struct {
	bytes.Reader
	content []byte
	closed  atomic.Bool
}

func (b *requestBody) Close() error {
	b.closed.Store(true)
	return nil
}

func (s *sink) body(records []*record) *requestBody {
	b, _ := s.bodies.Get().(*requestBody)
	if b == nil {
		b = &requestBody{}
	}
	b.closed.Store(false)
	b.content = append(b.content[:0], '[')
	for i, r := range records {
		if i > 0 {
			b.content = append(b.content, ',')
		}
		b.content = append(b.content, r.event...)
	}
	b.content = append(b.content, ']')
	b.Reset(b.content)
	return b
}

func (s *sink) reuse(b *requestBody) {
	if b.closed.Load() && cap(b.content) <= s.keep {
		s.bodies.Put(b)
	}
}

// retryAfter reads seconds or a date; zero if there is neither.
func retryAfter(header string, now time.Time) time.Duration {
	var d time.Duration
	if seconds, err := strconv.Atoi(header); err == nil {
		d = time.Duration(min(seconds, int(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(header); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}

func (o outcome) String() string {
	if o.err != nil {
		return o.err.Error()
	}
	return fmt.Sprintf("%d %s", o.status, http.StatusText(o.status))
}
