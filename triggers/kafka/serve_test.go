package kafka

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func get(t *testing.T, h http.Handler, path string) int {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code
}

func TestServe(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, 1)
	sink := newSinkServer(t, nil)
	cfg := testConfig(cluster, sink.URL)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg.ListenAddress = listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	trigger, err := New(cfg, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- trigger.Serve(ctx) }()
	status := func(path string) (int, string) {
		resp, err := http.Get("http://" + cfg.ListenAddress + path)
		if err != nil {
			return 0, ""
		}
		defer func() { _ = resp.Body.Close() }()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	eventually(t, "ready", func() bool { code, _ := status("/health/readiness"); return code == http.StatusOK })
	produce(t, cluster, manyRecords(2, 5)...)
	produce(t, cluster, poison()[2])
	sink.want(cluster, 1, 10, 11)
	if code, _ := status("/health/liveness"); code != http.StatusOK {
		t.Errorf("liveness: %d", code)
	}
	_, text := status("/metrics")
	for _, want := range []string{
		"millrace_trigger_records_read_total 11", "millrace_trigger_events_delivered_total 10",
		`millrace_trigger_dead_letters_total{reason="undecodable"} 1`, "millrace_trigger_batch_events_sum 10",
		"millrace_trigger_requests_in_flight 0", "millrace_trigger_window_events 0", "millrace_trigger_window_bytes 0",
		`millrace_trigger_lag_records{partition="0",topic="trade-events"} 0`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("metrics lack %s", want)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if code, _ := status("/health/liveness"); code != 0 {
		t.Errorf("still serving: %d", code)
	}
}

func TestServeOnABusyPort(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	cfg := testConfig(newCluster(t, 1), "http://127.0.0.1:1")
	cfg.ListenAddress = listener.Addr().String()
	trigger, err := New(cfg, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := trigger.Serve(context.Background()); err == nil || !strings.Contains(err.Error(), cfg.ListenAddress) {
		t.Errorf("got %v, want an error that names the address", err)
	}
}
