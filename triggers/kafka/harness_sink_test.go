package kafka

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

// testEvent is what a sink sees of an event.
type testEvent struct {
	ID        string          `json:"id"`
	Subject   string          `json:"subject"`
	Tenant    string          `json:"tenantid"`
	Offset    string          `json:"knativekafkaoffset"`
	Partition int32           `json:"knativekafkapartition"`
	Data      json.RawMessage `json:"data"`
}

func (e testEvent) offset() int64 {
	n, _ := strconv.ParseInt(e.Offset, 10, 64)
	return n
}

// testSink is a function that misbehaves as told. It checks at all times that
// no two requests carry the same entity of one partition.
type testSink struct {
	*httptest.Server
	t *testing.T
	// answer decides on a batch; nil takes everything. 0 cuts the connection.
	answer     func(r *http.Request, batch []testEvent) int
	retryAfter string // of its 429s

	mu      sync.Mutex
	flying  map[string]int
	open    int           // requests under way
	batches [][]testEvent // taken, in the order of their answers
	taken   map[string]int
	order   map[string][]int64 // by partition and entity: offsets as first taken
}

func newSinkServer(t *testing.T, answer func(r *http.Request, batch []testEvent) int) *testSink {
	t.Helper()
	s := &testSink{t: t, answer: answer, flying: map[string]int{}, taken: map[string]int{}, order: map[string][]int64{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Server.Close)
	return s
}

func lane0(e testEvent) string { return fmt.Sprintf("%d %s %s", e.Partition, e.Tenant, e.Subject) }

func (s *testSink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if got := r.Header.Get("Content-Type"); got != "application/cloudevents-batch+json" {
		s.t.Errorf("content type %q", got)
	}
	var batch []testEvent
	if err := json.Unmarshal(body, &batch); err != nil || len(batch) == 0 {
		s.t.Errorf("body is no batch: %v: %.200s", err, body)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.takeOff(batch)
	status := http.StatusAccepted
	if s.answer != nil {
		status = s.answer(r, batch)
	}
	s.land(batch, status)
	if status == 0 {
		cut(w)
		return
	}
	if status == http.StatusTooManyRequests && s.retryAfter != "" {
		w.Header().Set("Retry-After", s.retryAfter)
	}
	w.WriteHeader(status)
	fmt.Fprintf(w, "status %d", status)
}

func (s *testSink) takeOff(batch []testEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open++
	mine := map[string]bool{}
	for _, e := range batch {
		mine[lane0(e)] = true
	}
	for key := range mine {
		if s.flying[key]++; s.flying[key] > 1 {
			s.t.Errorf("two requests carry %s at once", key)
		}
	}
}

func (s *testSink) land(batch []testEvent, status int) {
	if status >= 200 && status <= 299 {
		s.take(batch)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	for _, e := range batch {
		delete(s.flying, lane0(e))
	}
}

// take applies a batch.
func (s *testSink) take(batch []testEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches = append(s.batches, batch)
	for _, e := range batch {
		if s.taken[e.ID]++; s.taken[e.ID] == 1 {
			s.order[lane0(e)] = append(s.order[lane0(e)], e.offset())
		}
	}
}

func (s *testSink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.taken)
}

// inFlight tells whether a request carries an event of the subject.
func (s *testSink) inFlight(subject string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.flying {
		if strings.HasSuffix(key, " "+subject) {
			return true
		}
	}
	return false
}

func (s *testSink) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// othersTaken counts what was taken of partitions other than p.
func (s *testSink) othersTaken(p int32) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, offsets := range s.order {
		if !strings.HasPrefix(key, fmt.Sprint(p, " ")) {
			n += len(offsets)
		}
	}
	return n
}

// othersEnd is how many records partitions other than p have.
func (s *testSink) othersEnd(cluster *kfake.Cluster, p int32) (n int) {
	for _, info := range cluster.PartitionInfos(topic) {
		if info.Partition != p {
			n += int(info.HighWatermark)
		}
	}
	return n
}

// wantAll waits until n events are taken and their offsets committed.
func (s *testSink) wantAll(cluster *kfake.Cluster, partitions int32, n int) {
	s.t.Helper()
	s.want(cluster, partitions, n, n)
}

// want waits until so many events are taken, and so many records committed,
// which is the end of all partitions; and checks the order.
func (s *testSink) want(cluster *kfake.Cluster, partitions int32, events, records int) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("%d events taken", events), func() bool { return s.count() >= events })
	eventually(s.t, fmt.Sprintf("%d records committed", records), func() bool { return total(committed(s.t, cluster, partitions)) == records })
	if n := s.count(); n != events {
		s.t.Errorf("%d events taken, want %d", n, events)
	}
	s.inOrder()
}

// wantOnce checks that no event was taken twice.
func (s *testSink) wantOnce() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, n := range s.taken {
		if n != 1 {
			s.t.Errorf("%s taken %d times", id, n)
		}
	}
}

// inOrder checks that each entity's events were first taken in their order.
func (s *testSink) inOrder() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, offsets := range s.order {
		for i := 1; i < len(offsets); i++ {
			if offsets[i] <= offsets[i-1] {
				s.t.Errorf("%s: offset %d taken after %d", key, offsets[i], offsets[i-1])
			}
		}
	}
}

// cut ends the connection in the middle of things.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
