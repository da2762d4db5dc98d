package kafka

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func stable(t *testing.T, cluster *kfake.Cluster, members int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := cluster.WaitGroupStable(ctx, "millrace-trade", members); err != nil {
		t.Fatal(err)
	}
}

// A second member joins while requests are under way: what flies lands before
// its partition moves, so that no entity is in two members' requests at once
// and each keeps its order.
func TestRebalanceInMidBatch(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, 6)
	open := make(gate)
	sink := newSinkServer(t, func(r *http.Request, _ []testEvent) int {
		if !open.pass(r) {
			return 0
		}
		return http.StatusAccepted
	})
	cfg := testConfig(cluster, sink.URL)
	cfg.DrainTimeout = patience / 2
	produce(t, cluster, manyRecords(40, 10)...)
	first := start(t, cfg)
	eventually(t, "all requests under way", func() bool { return sink.requests() == cfg.InFlight })
	rejoins := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup}, Observe: true, Count: -1})
	second := start(t, cfg)
	eventually(t, "both in the rebalance", func() bool { return rejoins.Hits() >= 2 })
	close(open)
	sink.wantAll(cluster, 6, 400)
	stable(t, cluster, 2)
	produce(t, cluster, manyRecords(40, 5)...) // the same ids again: duplicates by their ids, new offsets
	eventually(t, "all committed", func() bool { return total(committed(t, cluster, 6)) == 600 })
	if first.delivered() == 600 || second.delivered() == 0 {
		t.Errorf("members delivered %d and %d", first.delivered(), second.delivered())
	}
}

// Members come and go under load, some without a good-bye in time: all is
// taken, in order.
func TestMembersComeAndGo(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, 6)
	sink := newSinkServer(t, nil)
	cfg := testConfig(cluster, sink.URL)
	cfg.BatchEvents = 5
	stay := start(t, cfg)
	for n := range 10 {
		member := start(t, cfg)
		for k := range 30 {
			produce(t, cluster, testRecord(fmt.Sprintf("account-%d", k), 2*n), testRecord(fmt.Sprintf("account-%d", k), 2*n+1))
		}
		stable(t, cluster, 2)
		member.stop(t)
	}
	sink.wantAll(cluster, 6, 600)
	if stay.delivered() == 0 {
		t.Error("the member that stayed delivered nothing")
	}
}

// The group throws the member out (it paused too long): it joins again, and
// what it had under way comes again at most.
func TestThrownOutOfTheGroup(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, 3)
	sink := newSinkServer(t, nil)
	trigger := start(t, testConfig(cluster, sink.URL))
	produce(t, cluster, manyRecords(10, 10)...)
	eventually(t, "some taken", func() bool { return sink.count() > 0 })
	out := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, TopLevel: true, Err: kerr.UnknownMemberID})
	eventually(t, "thrown out", func() bool { return out.Hits() > 0 })
	produce(t, cluster, manyRecords(20, 10)...)
	eventually(t, "all taken", func() bool { return sink.count() == 200 })
	eventually(t, "all committed", func() bool { return total(committed(t, cluster, 3)) == 300 })
	sink.inOrder()
	eventually(t, "ready again", trigger.joined.Load)
}

// Partitions change their leaders while records flow.
func TestLeaderChange(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, 3, kfake.NumBrokers(3))
	sink := newSinkServer(t, nil)
	start(t, testConfig(cluster, sink.URL))
	for n := range 5 {
		for k := range 20 {
			produce(t, cluster, testRecord(fmt.Sprintf("account-%d", k), n))
		}
		cluster.ShufflePartitionLeaders()
	}
	sink.wantAll(cluster, 3, 100)
}

// SIGTERM: what flies may land, is marked and committed; nothing else is.
func TestDrainFinishesWhatFlies(t *testing.T) {
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
	produce(t, cluster, testRecord("first", 1), testRecord("second", 0))
	eventually(t, "the others read", func() bool { return trigger.held() == 3 })
	trigger.cancel()
	eventually(t, "queued records dropped", func() bool { return trigger.revoking() })
	if got := total(committed(t, cluster, 1)); got != 0 {
		t.Errorf("committed up to %d before the first answer", got)
	}
	close(open)
	trigger.stop(t)
	if got := total(committed(t, cluster, 1)); got != 1 || sink.count() != 1 {
		t.Errorf("committed up to %d, %d events taken, want 1 and 1", got, sink.count())
	}
	start(t, cfg) // and the next member has the rest
	sink.wantAll(cluster, 1, 3)
	sink.wantOnce()
}

// SIGTERM while the sink does not answer: the grace time ends, nothing is
// marked, all comes again.
func TestDrainGivesUp(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, 1)
	open := make(gate)
	sink := newSinkServer(t, func(r *http.Request, _ []testEvent) int {
		if !open.pass(r) {
			return 0
		}
		return http.StatusAccepted
	})
	cfg := testConfig(cluster, sink.URL)
	cfg.DrainTimeout = 50 * time.Millisecond
	trigger := start(t, cfg)
	produce(t, cluster, manyRecords(5, 5)...)
	eventually(t, "requests under way", func() bool { return sink.requests() > 0 })
	begun := time.Now()
	trigger.stop(t)
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("stopping took %s", took)
	}
	if got := total(committed(t, cluster, 1)); got != 0 {
		t.Errorf("committed up to %d, nothing was taken", got)
	}
	close(open)
	start(t, cfg)
	sink.wantAll(cluster, 1, 25)
}

// SIGTERM while the sink is down and batches wait for their next attempt: at
// once.
func TestDrainWhileRetrying(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, 1)
	sink := newSinkServer(t, func(*http.Request, []testEvent) int { return http.StatusServiceUnavailable })
	cfg := testConfig(cluster, sink.URL)
	cfg.RetryMin, cfg.RetryMax, cfg.DrainTimeout = time.Hour, time.Hour, 50*time.Second
	trigger := start(t, cfg)
	produce(t, cluster, manyRecords(5, 5)...)
	eventually(t, "an attempt has failed", func() bool { return trigger.retries("503") > 0 })
	trigger.stop(t) // within the harness's patience, far below the pause
	if got := total(committed(t, cluster, 1)); got != 0 {
		t.Errorf("committed up to %d, nothing was taken", got)
	}
}

// A sink that stands still: fetching pauses, and what is held stays bounded,
// whatever waits in Kafka. Then all arrives.
func TestSlowSinkPausesFetching(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, 4)
	open := make(gate)
	sink := newSinkServer(t, func(r *http.Request, _ []testEvent) int {
		if !open.pass(r) {
			return 0
		}
		return http.StatusAccepted
	})
	cfg := testConfig(cluster, sink.URL)
	cfg.WindowBytes, cfg.FetchBytes, cfg.DrainTimeout = 256<<10, 16<<10, time.Millisecond
	cfg.WindowEvents, cfg.BatchEvents = 100_000, 500
	var records = manyRecords(40, 50)
	for _, r := range records {
		r.Value = []byte(`"` + strings.Repeat("x", 2000) + `"`) // 4 MB in all
	}
	for len(records) > 0 { // in batches smaller than a fetch: one fetch brings at least a batch
		produce(t, cluster, records[:20]...)
		records = records[20:]
	}
	trigger := start(t, cfg)
	fetches := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Observe: true, Count: -1})
	beats := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Observe: true, Count: -1})
	eventually(t, "all partitions paused", trigger.allPaused)
	// Each record counts twice, raw and converted, and each partition may be two
	// fetches over.
	limit := cfg.WindowBytes + 4*2*2*(int(cfg.FetchBytes)+20*2300)
	fetched, beaten := fetches.Hits(), beats.Hits()
	eventually(t, "a member that is alive and fetches nothing", func() bool {
		if beats.Hits() < beaten+2 {
			return false
		}
		quiet := fetches.Hits() == fetched
		fetched, beaten = fetches.Hits(), beats.Hits()
		return quiet
	})
	if held := trigger.heldBytes(); held > limit {
		t.Errorf("%d bytes held, at most %d expected", held, limit)
	}
	close(open)
	sink.wantAll(cluster, 4, 2000)
	sink.wantOnce()
}

// One partition whose sink is stuck fills its part of the window; the others
// still flow, however long.
func TestStuckPartitionDoesNotStopOthers(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, 2)
	open := make(gate)
	sink := newSinkServer(t, func(r *http.Request, batch []testEvent) int {
		if has(batch, "stuck") && !open.pass(r) {
			return 0
		}
		return http.StatusAccepted
	})
	cfg := testConfig(cluster, sink.URL)
	cfg.WindowEvents, cfg.FetchBytes = 200, 2048
	start(t, cfg)
	stuckPartition := testRecord("stuck", 0)
	produce(t, cluster, stuckPartition)
	eventually(t, "stuck", func() bool { return sink.inFlight("stuck") })
	for n := range 10 {
		for _, r := range manyRecords(20, 5) {
			r.Headers[2].Value = fmt.Append(nil, n, "/", string(r.Headers[2].Value))
			produce(t, cluster, r)
		}
	}
	eventually(t, "the other partition taken whole", func() bool {
		return sink.othersTaken(stuckPartition.Partition) == sink.othersEnd(cluster, stuckPartition.Partition)
	})
	close(open)
	sink.wantAll(cluster, 2, 1001)
}

// Kafka is not there yet: the trigger waits for it.
func TestStartsBeforeKafka(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, number, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	sink := newSinkServer(t, nil)
	cfg := testConfig(newCluster(t, 1), sink.URL)
	cfg.Brokers = []string{listener.Addr().String()}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	trigger := start(t, cfg)
	eventually(t, "not ready", func() bool { return get(t, trigger.Handler(), "/health/readiness") == http.StatusServiceUnavailable })
	cluster := newCluster(t, 1, kfake.Ports(port))
	produce(t, cluster, testRecord("a", 0))
	sink.wantAll(cluster, 1, 1)
}
