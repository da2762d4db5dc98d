package kafka

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func manyRecords(keys, each int) (records []*kgo.Record) {
	for n := range each {
		for k := range keys {
			records = append(records, testRecord(fmt.Sprintf("account-%d", k), n))
		}
	}
	return records
}

// gate holds requests until it is opened, or their sender gives up.
type gate chan struct{}

func (g gate) pass(r *http.Request) bool {
	select {
	case <-g:
		return true
	case <-r.Context().Done():
		return false
	}
}

func has(batch []testEvent, prefix string) bool {
	for _, e := range batch {
		if strings.HasPrefix(e.ID, prefix) {
			return true
		}
	}
	return false
}

func TestDeliversAllInOrderAndMarks(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, 3)
	produce(t, cluster, manyRecords(20, 25)...) // before the group exists: the earliest offset counts
	sink := newSinkServer(t, nil)
	start(t, testConfig(cluster, sink.URL))
	sink.wantAll(cluster, 3, 500)
	sink.wantOnce()
}

// A sink that fails in every way, at random: all arrives, in order per entity.
func TestOrderUnderFailures(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, 3)
	sink := newSinkServer(t, func(*http.Request, []testEvent) int {
		failures := []int{500, 503, 429, 408, 404, 409, 0, 502, 401, 415, 302}
		if n := rand.IntN(2 * len(failures)); n < len(failures) {
			return failures[n]
		}
		return http.StatusAccepted
	})
	produce(t, cluster, manyRecords(20, 25)...)
	start(t, testConfig(cluster, sink.URL))
	sink.wantAll(cluster, 3, 500)
	sink.wantOnce() // this sink takes nothing when it fails
}

// The answer of a batch that was taken is lost: it comes again, and only it.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, 1)
	var requests atomic.Int64
	sink := newSinkServer(t, nil)
	sink.answer = func(_ *http.Request, batch []testEvent) int {
		if requests.Add(1) == 1 {
			sink.take(batch)
			return 0
		}
		return http.StatusAccepted
	}
	produce(t, cluster, manyRecords(1, 3)...)
	start(t, testConfig(cluster, sink.URL))
	sink.wantAll(cluster, 1, 3)
	if sink.taken["account-0/0"] != 2 {
		t.Errorf("the first event was taken %d times, want 2", sink.taken["account-0/0"])
	}
}

// One entity's event is stuck: the others of its partition go on, but nothing
// from it on is marked, however much behind it is done.
func TestMarksOnlyWhatAllBeforeIsDone(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, 1)
	open := make(gate)
	sink := newSinkServer(t, func(r *http.Request, batch []testEvent) int {
		if has(batch, "stuck") && !open.pass(r) {
			return 0
		}
		return http.StatusAccepted
	})
	cfg := testConfig(cluster, sink.URL)
	cfg.DrainTimeout = time.Millisecond
	trigger := start(t, cfg)
	produce(t, cluster, testRecord("early", 0), testRecord("early", 1))
	eventually(t, "the early ones committed", func() bool { return total(committed(t, cluster, 1)) == 2 })
	produce(t, cluster, testRecord("stuck", 0))
	eventually(t, "the stuck one in a request", func() bool { return sink.inFlight("stuck") })
	produce(t, cluster, manyRecords(3, 20)...)
	eventually(t, "the others taken", func() bool { return sink.count() == 62 })
	produce(t, cluster, testRecord("late", 0))
	eventually(t, "one more taken", func() bool { return sink.count() == 63 })
	trigger.stop(t) // commits what is marked
	if got := total(committed(t, cluster, 1)); got != 2 {
		t.Errorf("committed up to %d with offset 2 not done", got)
	}
	close(open)
	start(t, cfg)
	sink.wantAll(cluster, 1, 64)
}

// While a key is in a request its followers wait, whatever leads to it: its
// record key or its entity. Others pass.
func TestOneRequestPerKey(t *testing.T) {
	t.Parallel()
	keyless := func(subject string, n int) *kgo.Record {
		r := testRecord(subject, n)
		r.Key = nil
		return r
	}
	otherKey := func(subject string, n int) *kgo.Record {
		r := testRecord(subject, n)
		r.Key = fmt.Append(nil, subject, "-", n)
		return r
	}
	otherEntity := func(key string, n int) *kgo.Record {
		r := testRecord(fmt.Sprintf("%s-%d", key, n), n)
		r.Key = []byte(key)
		return r
	}
	for name, record := range map[string]func(string, int) *kgo.Record{"record key": testRecord, "keyless": keyless, "another key": otherKey, "another entity": otherEntity} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := newCluster(t, 1)
			open := make(gate)
			var held atomic.Int64
			sink := newSinkServer(t, func(r *http.Request, batch []testEvent) int {
				if has(batch, "held") {
					held.Add(1)
					if !open.pass(r) {
						return 0
					}
				}
				return http.StatusAccepted
			})
			start(t, testConfig(cluster, sink.URL))
			produce(t, cluster, record("held", 0))
			eventually(t, "the first in a request", func() bool { return held.Load() == 1 })
			for n := 1; n < 20; n++ {
				produce(t, cluster, record("held", n), record("free", n))
			}
			eventually(t, "the free ones taken", func() bool { return sink.count() == 19 })
			if n := held.Load(); n != 1 {
				t.Errorf("%d requests carry the key at once", n)
			}
			close(open)
			sink.wantAll(cluster, 1, 39)
		})
	}
}

// Events that the sink fails on, more than there are workers: what has other
// keys goes on, also what was in one batch with them, but nothing from the first
// of them on is marked.
func TestFailingEventsAreIsolated(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, 1)
	healed := make(chan struct{})
	sink := newSinkServer(t, func(_ *http.Request, batch []testEvent) int {
		select {
		case <-healed:
			return http.StatusAccepted
		default:
		}
		if has(batch, "killer") {
			return []int{0, http.StatusInternalServerError}[rand.IntN(2)]
		}
		return http.StatusAccepted
	})
	records := []*kgo.Record{testRecord("early", 0)}
	for k := range 5 {
		records = append(records, testRecord(fmt.Sprint("killer-", k), 0), testRecord(fmt.Sprint("killer-", k), 1))
		records = append(records, manyRecords(10, 2)[4*k:4*k+4]...)
	}
	cfg := testConfig(cluster, sink.URL)
	cfg.InFlight = 2
	produce(t, cluster, records...)
	trigger := start(t, cfg)
	eventually(t, "the others taken", func() bool { return sink.count() == 21 })
	produce(t, cluster, testRecord("late", 0))
	eventually(t, "a late one taken", func() bool { return sink.count() == 22 })
	trigger.stop(t) // commits what is marked
	if got := total(committed(t, cluster, 1)); got != 1 {
		t.Errorf("committed up to %d, the event at 1 is not done", got)
	}
	close(healed)
	start(t, cfg)
	sink.wantAll(cluster, 1, 32)
}

// What queued up while a request ran goes into the next: no timer.
func TestBatchesGrowByThemselves(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, 1)
	open := make(gate)
	sink := newSinkServer(t, func(r *http.Request, batch []testEvent) int {
		if has(batch, "first") && !open.pass(r) {
			return 0
		}
		return http.StatusAccepted
	})
	cfg := testConfig(cluster, sink.URL)
	cfg.InFlight = 1
	trigger := start(t, cfg)
	produce(t, cluster, testRecord("first", 0))
	eventually(t, "the first in a request", func() bool { return sink.inFlight("first") })
	produce(t, cluster, manyRecords(4, 20)...)
	eventually(t, "all read", func() bool { return trigger.held() == 81 })
	close(open)
	sink.wantAll(cluster, 1, 81)
	var sizes []int
	for _, batch := range sink.batches {
		sizes = append(sizes, len(batch))
	}
	if fmt.Sprint(sizes) != "[1 50 30]" {
		t.Errorf("batches of %v events, want [1 50 30]", sizes)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, 1)
	var first atomic.Int64
	var pause atomic.Int64
	sink := newSinkServer(t, nil)
	sink.retryAfter = "1"
	sink.answer = func(*http.Request, []testEvent) int {
		now := time.Now().UnixNano()
		if first.CompareAndSwap(0, now) {
			return http.StatusTooManyRequests
		}
		pause.Store(now - first.Load())
		return http.StatusAccepted
	}
	produce(t, cluster, testRecord("a", 0))
	start(t, testConfig(cluster, sink.URL))
	sink.wantAll(cluster, 1, 1)
	if got := time.Duration(pause.Load()); got < time.Second {
		t.Errorf("came again after %s, want a second", got)
	}
}

// Records of an aborted transaction are never seen.
func TestReadsCommittedOnly(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, 1)
	produceAborted(t, cluster, testRecord("aborted", 0), testRecord("aborted", 1))
	produce(t, cluster, testRecord("committed", 0))
	sink := newSinkServer(t, nil)
	start(t, testConfig(cluster, sink.URL))
	eventually(t, "the committed one taken", func() bool { return sink.count() == 1 })
	if sink.taken["committed/0"] != 1 {
		t.Errorf("taken: %v", sink.taken)
	}
}
