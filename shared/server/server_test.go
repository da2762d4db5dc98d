package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	stopping, stop := context.WithCancel(t.Context())
	var wrong error
	mux := http.NewServeMux()
	Health(stopping, mux, func(context.Context) error { return wrong })
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code, w.Body.String()
	}
	if code, _ := get("/health/readiness"); code != http.StatusOK {
		t.Errorf("ready, but %d", code)
	}
	wrong = errors.New("the database does not answer")
	if code, body := get("/health/readiness"); code != http.StatusServiceUnavailable || body != "the database does not answer\n" {
		t.Errorf("not ready, but %d %q", code, body)
	}
	wrong = nil
	stop()
	if code, body := get("/health/readiness"); code != http.StatusServiceUnavailable || body != "draining\n" {
		t.Errorf("draining, but %d %q", code, body)
	}
	if code, _ := get("/health/liveness"); code != http.StatusOK {
		t.Errorf("alive, but %d", code)
	}
}

// begin starts a server and a request that waits in its handler.
func begin(t *testing.T, drain time.Duration, handler http.HandlerFunc) (stop func(), answer, served chan error) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	entered := make(chan struct{})
	web := New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		handler(w, r)
	}), time.Minute)
	ctx, stop := context.WithCancel(t.Context())
	answer, served = make(chan error, 1), make(chan error, 1)
	go func() { served <- Serve(ctx, listener, web, drain) }()
	go func() {
		resp, err := http.Get("http://" + listener.Addr().String())
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		answer <- err
	}()
	<-entered
	return stop, answer, served
}

func TestDrainLetsRequestsEnd(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	stop, answer, served := begin(t, time.Minute, func(http.ResponseWriter, *http.Request) { <-done })
	stop()
	close(done)
	if err := <-answer; err != nil {
		t.Errorf("the request in progress: %v", err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestDrainEndsInTime(t *testing.T) {
	t.Parallel()
	stop, answer, served := begin(t, time.Millisecond, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	stop()
	if err := <-served; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("serving ended with %v", err)
	}
	if err := <-answer; err == nil {
		t.Error("the request that was broken off was answered")
	}
}

func TestAListenerThatFailsIsTold(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	if err := Serve(t.Context(), listener, New(nil, time.Minute), time.Minute); !errors.Is(err, net.ErrClosed) {
		t.Errorf("serving ended with %v", err)
	}
}
