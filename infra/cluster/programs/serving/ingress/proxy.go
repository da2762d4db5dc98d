package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"time"

	"knative.dev/networking/pkg/apis/networking/v1alpha1"
)

type backendKey struct{}

// proxy routes what comes from inside the cluster or from outside.
func proxy(c *cluster, inside bool) http.Handler {
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetXForwarded()
			r.Out.URL.Scheme = "http"
			r.Out.URL.Host = "backend" // balance puts an address in its place
		},
		Transport:     &balance{cluster: c, next: transport()},
		FlushInterval: -1,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			slog.Warn("forwarding", "host", r.Host, "error", err)
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := c.routes.Load().path(r, inside)
		if path == nil {
			http.NotFound(w, r)
			return
		}
		chosen := split(path)
		for _, headers := range []map[string]string{path.AppendHeaders, chosen.AppendHeaders} {
			for name, value := range headers {
				r.Header.Set(name, value)
			}
		}
		if path.RewriteHost != "" {
			r.Host = path.RewriteHost
		}
		forward.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), backendKey{}, chosen.IngressBackend)))
	})
}

func transport() *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
		MaxIdleConnsPerHost: 500,
		IdleConnTimeout:     30 * time.Second,
		DisableCompression:  true,
	}
}

// balance sends a request to one of a backend's pods, and to another when the
// first cannot be connected to: a pod may have ended without it being known here.
type balance struct {
	cluster *cluster
	next    http.RoundTripper
}

var errNobody = errors.New("no pod is ready")

func (b *balance) RoundTrip(r *http.Request) (*http.Response, error) {
	backend, _ := r.Context().Value(backendKey{}).(v1alpha1.IngressBackend)
	addresses := b.cluster.addresses(backend)
	if r.Body != nil {
		body := r.Body
		defer func() { _ = body.Close() }()
		r.Body = io.NopCloser(body) // kept open for the next try
	}
	err := errNobody
	for _, n := range rand.Perm(len(addresses))[:min(3, len(addresses))] {
		r.URL.Host = addresses[n]
		var response *http.Response
		if response, err = b.next.RoundTrip(r); err == nil || !dialing(err) {
			return response, err
		}
	}
	return nil, err
}

func dialing(err error) bool {
	var failed *net.OpError
	return errors.As(err, &failed) && failed.Op == "dial"
}
