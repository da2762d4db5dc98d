package kafka

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"testing"

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

func TestDeliversAllInOrderAndMarks(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, 3)
	produce(t, cluster, manyRecords(20, 25)...) // before the group exists: the earliest offset counts
	sink := newSinkServer(t, nil)
	start(t, testConfig(cluster, sink.URL))
	eventually(t, "500 events taken", func() bool { return sink.count() == 500 })
	eventually(t, "all committed", func() bool { return total(committed(t, cluster, 3)) == 500 })
	sink.inOrder()
	for id, n := range sink.taken {
		if n != 1 {
			t.Errorf("%s taken %d times", id, n)
		}
	}
}

// A sink that fails in every way, at random: all arrives, in order per entity;
// an event comes twice only if its answer was lost.
func TestOrderUnderFailures(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, 3)
	var lost atomic.Int64
	sink := newSinkServer(t, func(*http.Request, []testEvent) int {
		failures := []int{500, 503, 429, 408, 404, 409, 0, 502, 401}
		if n := rand.IntN(2 * len(failures)); n < len(failures) {
			return failures[n]
		}
		return http.StatusAccepted
	})
	produce(t, cluster, manyRecords(20, 25)...)
	start(t, testConfig(cluster, sink.URL))
	eventually(t, "500 events taken", func() bool { return sink.count() == 500 })
	eventually(t, "all committed", func() bool { return total(committed(t, cluster, 3)) == 500 })
	sink.inOrder()
	for id, n := range sink.taken {
		if n != 1 && lost.Load() == 0 {
			t.Errorf("%s taken %d times", id, n)
		}
	}
}
