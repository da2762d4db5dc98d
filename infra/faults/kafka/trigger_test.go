package kafka_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/millrace/millrace/infra/platform"
	"github.com/millrace/millrace/infra/stack/process"
	"github.com/millrace/millrace/infra/stack/stacktest"
)

// trigger is a trigger of trades as a process of its own.
type trigger struct {
	*process.Process
	url, log string
}

var triggers atomic.Int64

// trigger starts a trigger that posts to a gate, and waits until it is a member
// of the group. It is ended with the test.
func (w *world) trigger(t *testing.T, g *gate, more ...string) *trigger {
	t.Helper()
	tr := w.launch(t, g, more...)
	tr.await(t)
	return tr
}

func (tr *trigger) await(t *testing.T) {
	t.Helper()
	stacktest.Eventually(t, patience, "a trigger to join", func(ctx context.Context) bool { return platform.Ready(ctx, tr.url) == nil })
}

// launch is trigger without the wait.
func (w *world) launch(t *testing.T, g *gate, more ...string) *trigger {
	t.Helper()
	address := freeAddress(t)
	tr := &trigger{
		url: "http://" + address,
		log: filepath.Join(w.data, "log", fmt.Sprintf("trade-trigger-%d.log", triggers.Add(1))),
	}
	log, err := os.Create(tr.log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }() // the child has its own handle
	environment := append(os.Environ(),
		"KAFKA_BROKERS="+strings.Join(w.cluster.Addresses(), ","), "KAFKA_TOPICS="+events, "KAFKA_CONSUMER_GROUP="+group,
		"KAFKA_DEAD_LETTER_TOPIC="+deadLetters, "K_SINK="+g.url, "LISTEN_ADDRESS="+address)
	for name, value := range settings {
		environment = append(environment, name+"="+value)
	}
	tr.Process, err = process.Start(process.Spec{
		Path: filepath.Join(w.bin(), "kafka-trigger"), Output: log, Env: append(environment, more...),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = tr.Stop(syscall.SIGTERM, patience) // else the next test waits until it is missed
		if t.Failed() {
			t.Logf("%s says:\n%s", tr.log, lastLines(tr.log, 15))
		}
	})
	return tr
}

// stop ends it as Kubernetes does, with a grace period.
func (tr *trigger) stop(t *testing.T) {
	t.Helper()
	if err := tr.Stop(syscall.SIGTERM, patience); err != nil {
		t.Errorf("stopping a trigger: %v", err)
	}
}

func (tr *trigger) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := tr.Signal(s); err != nil {
		t.Fatal(err)
	}
}

func (tr *trigger) metric(ctx context.Context, name string) float64 { return metric(ctx, tr.url, name) }

// metric is the sum of a process's metric over its labels;
// -1 if the process does not tell.
func metric(ctx context.Context, url, name string) float64 {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/metrics", nil)
	if err != nil {
		return -1
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return -1
	}
	defer func() { _ = response.Body.Close() }()
	sum := 0.0
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		line := lines.Text()
		if !strings.HasPrefix(line, name+" ") && !strings.HasPrefix(line, name+"{") {
			continue
		}
		value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			return -1
		}
		sum += value
	}
	return sum
}

func lastLines(file string, n int) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
