package trace

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"
)

// Config is OpenTelemetry's own environment, as far as it matters here. The
// limits of the queue are read too: OTEL_BSP_MAX_QUEUE_SIZE and its like.
type Config struct {
	// Where an OTLP/HTTP receiver is, such as http://collector:4318; /v1/traces is
	// added. Without it nothing is traced.
	Endpoint string `env:"OTEL_EXPORTER_OTLP_ENDPOINT"`
	// The same for traces alone, taken as it is.
	TracesEndpoint string `env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"`
	// What goes with every request, such as authorization: name=value, separated
	// by commas, values percent-encoded.
	Headers string `env:"OTEL_EXPORTER_OTLP_HEADERS"`
	// It has to be this one.
	Protocol string `env:"OTEL_EXPORTER_OTLP_PROTOCOL" envDefault:"http/protobuf"`
	// How long one request may take, in milliseconds.
	Timeout int `env:"OTEL_EXPORTER_OTLP_TIMEOUT" envDefault:"10000"`
	// A file of certificates in PEM that are trusted instead of the system's own.
	Certificate string `env:"OTEL_EXPORTER_OTLP_CERTIFICATE"`
	// Which events without a traceparent are followed: parentbased_traceidratio,
	// parentbased_always_on or parentbased_always_off. One that has a traceparent
	// says itself whether it is followed.
	Sampler string `env:"OTEL_TRACES_SAMPLER" envDefault:"parentbased_traceidratio"`
	// The part of events without a traceparent that are followed, by the first.
	Ratio float64 `env:"OTEL_TRACES_SAMPLER_ARG" envDefault:"0.01"`
	// The name of the process; empty: its Knative service, or what it is.
	Service string `env:"OTEL_SERVICE_NAME"`
	// Turns traces off, whatever else is set.
	Disabled bool `env:"OTEL_SDK_DISABLED" envDefault:"false"`
}

// url returns where spans are posted, or nothing if they are not.
func (c *Config) url() string {
	switch {
	case c.Disabled:
		return ""
	case c.TracesEndpoint != "":
		return c.TracesEndpoint
	case c.Endpoint != "":
		return strings.TrimSuffix(c.Endpoint, "/") + "/v1/traces"
	}
	return ""
}

// Validate names all that is wrong.
func (c *Config) Validate() error {
	if c.url() == "" {
		return nil
	}
	var errs []error
	if u, err := url.Parse(c.url()); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		errs = append(errs, errors.New("OTEL_EXPORTER_OTLP_ENDPOINT is no http:// or https:// URL"))
	}
	if c.Protocol != "http/protobuf" {
		errs = append(errs, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %q, want http/protobuf (port 4318 of a collector, not 4317)", c.Protocol))
	}
	if c.Timeout < 1 {
		errs = append(errs, fmt.Errorf("OTEL_EXPORTER_OTLP_TIMEOUT is %d, want at least 1", c.Timeout))
	}
	if _, err := c.ratio(); err != nil {
		errs = append(errs, err)
	}
	if _, err := c.headers(); err != nil {
		errs = append(errs, err)
	}
	if c.Certificate != "" {
		if _, err := os.Stat(c.Certificate); err != nil {
			errs = append(errs, fmt.Errorf("OTEL_EXPORTER_OTLP_CERTIFICATE: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (c *Config) timeout() time.Duration { return time.Duration(c.Timeout) * time.Millisecond }

// ratio is the part of events without a traceparent that are traced.
func (c *Config) ratio() (float64, error) {
	switch c.Sampler {
	case "parentbased_always_on":
		return 1, nil
	case "parentbased_always_off":
		return 0, nil
	case "parentbased_traceidratio":
		if c.Ratio < 0 || c.Ratio > 1 {
			return 0, fmt.Errorf("OTEL_TRACES_SAMPLER_ARG is %v, want 0 to 1", c.Ratio)
		}
		return c.Ratio, nil
	}
	return 0, fmt.Errorf("OTEL_TRACES_SAMPLER %q is not supported: use parentbased_traceidratio, parentbased_always_on or parentbased_always_off", c.Sampler)
}

func (c *Config) headers() (map[string]string, error) {
	headers := map[string]string{}
	for pair := range strings.SplitSeq(c.Headers, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || err != nil {
			return nil, errors.New("OTEL_EXPORTER_OTLP_HEADERS: want name=value, separated by commas, values percent-encoded")
		}
		headers[strings.TrimSpace(name)] = value
	}
	return headers, nil
}
