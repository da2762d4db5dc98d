package trace

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/millrace/millrace/shared/fault"
)

const (
	// attempts is how often a request is made that the receiver has no room for.
	attempts = 3
	pause    = time.Second // before the second; then twice that
)

// exporter posts spans to an OTLP/HTTP receiver. What it cannot send is lost;
// it logs the beginning and the end of that.
type exporter struct {
	url     string
	headers map[string]string
	client  *http.Client
	log     *slog.Logger

	mu   sync.Mutex
	lost int // spans, since it fails
}

func newExporter(c Config, log *slog.Logger) (*exporter, error) {
	headers, err := c.headers()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConns: 1, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true}
	if c.Certificate != "" {
		pem, err := os.ReadFile(c.Certificate)
		roots := x509.NewCertPool()
		if err != nil || !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_CERTIFICATE: no certificate found in %s", c.Certificate)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return &exporter{url: c.url(), headers: headers, log: log, client: &http.Client{Transport: transport, Timeout: c.timeout()}}, nil
}

// ExportSpans implements sdk.SpanExporter.
func (x *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	body := encode(spans)
	wait := pause
	for attempt := 1; ; attempt++ {
		again, err := x.post(ctx, body)
		if err == nil || !again || attempt == attempts || !fault.Pause(ctx, wait) {
			x.note(len(spans), err)
			return nil
		}
		wait *= 2
	}
}

// post makes one attempt. again says that the receiver asks for another one.
func (x *exporter) post(ctx context.Context, body []byte) (again bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, x.url, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	request.Header.Set("Content-Type", "application/x-protobuf")
	for name, value := range x.headers {
		request.Header.Set(name, value)
	}
	response, err := x.client.Do(request)
	if err != nil {
		return true, err
	}
	defer response.Body.Close() //nolint:errcheck // it was only read
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	switch response.StatusCode {
	case http.StatusOK, http.StatusAccepted:
		return false, nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true, errors.New(response.Status)
	}
	return false, errors.New(response.Status)
}

func (x *exporter) note(spans int, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case err != nil:
		if x.lost == 0 {
			x.log.Warn("the receiver of traces fails: spans are lost", "error", err)
		}
		x.lost += spans
	case x.lost > 0:
		x.log.Info("the receiver of traces works again", "lost", x.lost)
		x.lost = 0
	}
}

// Shutdown implements sdk.SpanExporter.
func (x *exporter) Shutdown(context.Context) error {
	x.client.CloseIdleConnections()
	return nil
}
