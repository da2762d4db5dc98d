package gateway

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/shared/binding"
	"github.com/millrace/millrace/shared/event"
)

var produce = []kmsg.Key{kmsg.Produce}

func wantsRetry(t *testing.T, name string, answer response) {
	t.Helper()
	answer.wants(t, name, http.StatusServiceUnavailable, "send them again with the same ids")
	if answer.header.Get("Retry-After") != "1" {
		t.Errorf("%s: Retry-After %q", name, answer.header.Get("Retry-After"))
	}
}

// While Kafka is away, or does not answer, a request gets 503 by its deadline.
func TestKafkaAway(t *testing.T) {
	t.Parallel()
	silent := listen(t) // accepts and says nothing
	t.Cleanup(func() { _ = silent.Close() })
	for name, broker := range map[string]string{"nobody listens": "127.0.0.1:1", "nobody answers": silent.Addr().String()} {
		w := newWorld(t, func(c *Config) { c.Brokers, c.RequestTimeout = []string{broker}, 500*time.Millisecond })
		var sent sync.WaitGroup
		for range 3 * w.config.InFlight {
			sent.Go(func() {
				began := time.Now()
				answer := w.send(t, request{"/v1/events", binding.StructuredMedia, structured("e", nil), nil})
				if answer.status != http.StatusTooManyRequests {
					wantsRetry(t, name, answer)
				}
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("%s: it took %v", name, took)
				}
			})
		}
		sent.Wait()
		if strings.Contains(w.log.String(), `"data"`) || !strings.Contains(w.log.String(), "a request failed") {
			t.Errorf("logged: %s", w.log)
		}
	}
}

// One record of a batch that Kafka refuses refuses the batch; sent again when
// Kafka is well it goes through.
func TestBatchIsWholeOrNotAcknowledged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	var events []string
	for n := range 30 {
		events = append(events, structured(fmt.Sprint(n), map[string]any{"subject": fmt.Sprint("account-", n)}))
	}
	r := request{"/v1/events", binding.BatchMedia, batch(events...), nil}
	fault := w.kafka.Fault(kfake.Fault{Keys: produce, Partitions: []int32{3}, Err: kerr.PolicyViolation, Count: -1})
	wantsRetry(t, "a refused partition", w.send(t, r))
	fault.Remove()
	part := w.count()
	if part == 0 || part == len(events) {
		t.Errorf("Kafka has %d of %d events after the refusal", part, len(events))
	}
	w.send(t, r).wants(t, "again", http.StatusAccepted, "offset")
	w.stored(t, part+len(events))
}

// Whatever was acknowledged is in Kafka: while leaders change, replies get lost
// and records are refused.
func TestNoAckIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.kafka.Fault(
		kfake.Fault{Keys: produce, Partitions: []int32{0, 3, 7}, Err: kerr.NotLeaderForPartition, Count: 20},
		kfake.Fault{Keys: produce, Partitions: []int32{1, 5}, Err: kerr.RequestTimedOut, Count: 10},
		kfake.Fault{Keys: produce, Partitions: []int32{2, 6}, Err: kerr.PolicyViolation, Count: 5},
	)
	acknowledged := map[string]bool{}
	var mu sync.Mutex
	var sent sync.WaitGroup
	for client := range 8 {
		sent.Go(func() {
			for n := range 25 {
				id := fmt.Sprintf("%d-%d", client, n)
				for again := true; again; {
					answer := w.send(t, request{"/", binding.StructuredMedia, structured(id, map[string]any{"subject": id}), nil})
					if again = answer.status == http.StatusServiceUnavailable; !again {
						answer.wants(t, id, http.StatusAccepted, "")
					}
				}
				mu.Lock()
				acknowledged[id] = true
				mu.Unlock()
				if n%10 == 0 {
					w.kafka.ShufflePartitionLeaders()
				}
			}
		})
	}
	sent.Wait()
	for _, record := range w.stored(t, w.count()) {
		delete(acknowledged, event.ParseStructured(record.Value).Event.ID)
	}
	if len(acknowledged) > 0 {
		t.Errorf("acknowledged, and not in Kafka: %v", acknowledged)
	}
}

// Told to stop, the gateway lets the requests in flight end, and takes no more.
func TestDrain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.send(t, request{"/", binding.StructuredMedia, structured("first", nil), nil}).wants(t, "first", http.StatusAccepted, "")
	arrived, release := make(chan struct{}), make(chan struct{})
	w.kafka.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		close(arrived)
		w.kafka.SleepControl(func() { <-release })
		return nil, nil, false //nolint:nilnil // as kfake has it for a request that goes on
	})
	inFlight := make(chan response)
	go func() {
		inFlight <- w.send(t, request{"/", binding.StructuredMedia, structured("second", nil), nil})
	}()
	<-arrived
	stopped := make(chan error)
	go func() { stopped <- w.stop() }()
	for { // until nobody is let in any more
		conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
		if err != nil {
			break
		}
		_ = conn.Close()
	}
	select {
	case err := <-stopped:
		t.Errorf("stopped with a request in flight: %v", err)
	default:
	}
	close(release)
	answer := <-inFlight
	answer.wants(t, "second", http.StatusAccepted, "")
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	w.stored(t, 2)
}
