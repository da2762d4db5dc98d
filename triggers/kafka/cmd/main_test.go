package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

const patience = 60 * time.Second

// TestMain lets the test's own binary be the command under test.
func TestMain(m *testing.M) {
	if os.Getenv("MILLRACE_TEST_MAIN") == "1" {
		main()
		return
	}
	os.Exit(m.Run())
}

// platform is a Kafka with events in it and a function.
type platform struct {
	cluster *kfake.Cluster
	sink    *httptest.Server
	arrived chan string // the first event's id of each request

	mu    sync.Mutex
	hold  chan struct{} // requests wait for it
	taken map[string]int
}

func newPlatform(t *testing.T, events int) *platform {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "trade-events", "trade-events-dead-letter"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	p := &platform{cluster: cluster, arrived: make(chan string, 1000), hold: make(chan struct{}), taken: map[string]int{}}
	p.sink = httptest.NewServer(p)
	t.Cleanup(p.sink.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for i := range events {
		r := &kgo.Record{Topic: "trade-events", Key: fmt.Append(nil, "account-", i%10), Value: []byte(`{}`)}
		for _, a := range []string{"specversion=1.0", fmt.Sprint("id=", i), "source=test", "type=trade.executed.v1", "tenantid=acme", fmt.Sprint("subject=account-", i%10)} {
			name, value, _ := strings.Cut(a, "=")
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: "ce_" + name, Value: []byte(value)})
		}
		if err := client.ProduceSync(ctx, r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func (p *platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var batch []struct {
		ID string `json:"id"`
	}
	if err := json.NewDecoder(r.Body).Decode(&batch); err != nil {
		return
	}
	p.mu.Lock()
	hold := p.hold
	p.mu.Unlock()
	p.arrived <- batch[0].ID
	select {
	case <-hold:
	case <-r.Context().Done():
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range batch {
		p.taken[e.ID]++
	}
	w.WriteHeader(http.StatusAccepted)
}

func (p *platform) open() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.hold)
}

func (p *platform) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.taken)
}

// child is the command as a process of its own.
type child struct {
	*exec.Cmd
	stderr bytes.Buffer
}

func (p *platform) start(t *testing.T, env ...string) *child {
	t.Helper()
	c := &child{Cmd: exec.Command(os.Args[0])}
	c.Stderr = &c.stderr
	c.Env = append(os.Environ(), append([]string{"MILLRACE_TEST_MAIN=1", "KAFKA_BROKERS=" + strings.Join(p.cluster.ListenAddrs(), ","),
		"KAFKA_TOPICS=trade-events", "KAFKA_CONSUMER_GROUP=trade", "KAFKA_SESSION_TIMEOUT=6s", "K_SINK=" + p.sink.URL, "LISTEN_ADDRESS=127.0.0.1:0"}, env...)...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	return c
}

func (p *platform) waitForRequest(t *testing.T) (id string) {
	t.Helper()
	select {
	case id = <-p.arrived:
		return id
	case <-time.After(patience):
		t.Fatal("no request")
		return ""
	}
}

func (p *platform) waitFor(t *testing.T, events int) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for p.count() < events {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%d events taken, want %d", p.count(), events)
		}
	}
}

// SIGTERM: the request under way is answered and marked, the process ends well,
// and what it logged is JSON. Another has the rest.
func TestSIGTERMDrains(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, 200)
	c := p.start(t, "MAX_IN_FLIGHT=1", "BATCH_MAX_EVENTS=5")
	first := p.waitForRequest(t) // the first record of its partition
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.open()
	if err := c.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, c.stderr.String())
	}
	for line := range strings.Lines(c.stderr.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("log line is no JSON: %s", line)
		}
	}
	p.start(t)
	p.waitFor(t, 200)
	if n := p.taken[first]; n != 1 {
		t.Errorf("event %s, answered after the signal, came %d times", first, n)
	}
}

// kill -9 in mid-batch: all that was not marked comes again.
func TestKilled(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, 200)
	c := p.start(t, "BATCH_MAX_EVENTS=5")
	p.waitForRequest(t)
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	p.open()
	p.start(t)
	p.waitFor(t, 200)
}

// A wrong configuration: one JSON line, and exit code 1.
func TestWrongConfiguration(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, 0)
	c := p.start(t, "K_SINK=", "MAX_IN_FLIGHT=0")
	err := c.Wait()
	if err == nil || c.ProcessState.ExitCode() != 1 {
		t.Errorf("ended with %v", err)
	}
	var line struct {
		Level string `json:"level"`
		Cause string `json:"cause"`
	}
	if err := json.Unmarshal(c.stderr.Bytes(), &line); err != nil || line.Level != "ERROR" ||
		!strings.Contains(line.Cause, "K_SINK") || !strings.Contains(line.Cause, "MAX_IN_FLIGHT") {
		t.Errorf("%v: %s", err, c.stderr.String())
	}
}
