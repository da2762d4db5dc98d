package kafka

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A batch that is too large is halved until it fits.
func TestSplitsWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, 1)
	sink := newSinkServer(t, func(_ *http.Request, batch []testEvent) int {
		if len(batch) > 7 {
			return http.StatusRequestEntityTooLarge
		}
		return http.StatusAccepted
	})
	produce(t, cluster, manyRecords(5, 40)...)
	start(t, testConfig(cluster, sink.URL))
	sink.wantAll(cluster, 1, 200)
	sink.wantOnce()
}

// An event that is refused as such goes to the dead-letter topic, raw and with
// the reason; its neighbours are taken.
func TestRefusedEventsBecomeDeadLetters(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 413, 422} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			cluster := newCluster(t, 2)
			sink := newSinkServer(t, func(_ *http.Request, batch []testEvent) int {
				if has(batch, "bad") {
					return status
				}
				return http.StatusAccepted
			})
			records := manyRecords(5, 20)
			bad := testRecord("bad", 0)
			bad.Headers = append(bad.Headers, kgo.RecordHeader{Key: "ce_knativeerrorcode", Value: []byte("500")}, kgo.RecordHeader{Key: "x", Value: []byte("y")})
			produce(t, cluster, append(records, bad)...)
			start(t, testConfig(cluster, sink.URL))
			sink.want(cluster, 2, 100, 101)
			letter := letters(t, cluster, 1)[0]
			if string(letter.Key) != "bad" || string(letter.Value) != string(bad.Value) {
				t.Errorf("dead letter is %s: %s", letter.Key, letter.Value)
			}
			wantHeaders(t, letter, map[string]string{
				"ce_id": "bad/0", "x": "y", "content-type": "application/json", "millrace-cause": fmt.Sprintf("refused: %d status %d", status, status),
				"ce_knativeerrordest": sink.URL, "ce_knativeerrorcode": fmt.Sprint(status), "ce_knativeerrordata": base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "status %d", status)),
			})
		})
	}
}

func wantHeaders(t *testing.T, r *kgo.Record, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	for _, h := range r.Headers {
		if _, twice := got[h.Key]; twice {
			t.Errorf("header %s twice", h.Key)
		}
		got[h.Key] = string(h.Value)
	}
	for key, value := range want {
		if got[key] != value {
			t.Errorf("header %s is %q, want %q", key, got[key], value)
		}
	}
}

// poison are records that are no CloudEvent.
func poison() []*kgo.Record {
	null := testRecord("null", 0)
	null.Value = nil
	noID := testRecord("no-id", 0)
	noID.Headers = ceHeaders("source", "s", "type", "t")
	return []*kgo.Record{
		null, noID,
		{Topic: topic, Value: []byte("raw\xff")},
		{Topic: topic, Key: []byte("k"), Value: []byte(`{"id":`), Headers: []kgo.RecordHeader{{Key: "content-type", Value: []byte("application/cloudevents+json; charset=utf-8")}}},
		{Topic: topic},
	}
}

// Records that are no CloudEvent go to the dead-letter topic as they came, and
// the offset moves past them.
func TestPoisonBecomesDeadLetters(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, 1)
	sink := newSinkServer(t, nil)
	records := append(manyRecords(1, 5), append(poison(), testRecord("last", 0))...)
	produce(t, cluster, records...)
	start(t, testConfig(cluster, sink.URL))
	sink.want(cluster, 1, 6, 11)
	got := letters(t, cluster, 5)
	for _, sent := range poison() {
		found := false
		for _, letter := range got {
			same := string(letter.Key) == string(sent.Key) && string(letter.Value) == string(sent.Value)
			found = found || same && (letter.Value == nil) == (sent.Value == nil) && len(letter.Headers) == len(sent.Headers)+4
		}
		if !found {
			t.Errorf("no dead letter for %s: %q", sent.Key, sent.Value)
		}
	}
	for _, letter := range got {
		wantHeaders(t, letter, map[string]string{"ce_knativeerrordest": sink.URL})
	}
}

// The dead-letter topic is away: neighbours flow, nothing is marked past the
// poison, and nothing is lost once the topic is there.
func TestDeadLetterTopicDown(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, 1)
	down := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic + "-dead-letter", Err: kerr.NotEnoughReplicas, Count: -1})
	sink := newSinkServer(t, func(_ *http.Request, batch []testEvent) int {
		if has(batch, "bad") {
			return http.StatusBadRequest
		}
		return http.StatusAccepted
	})
	records := append(manyRecords(1, 3), poison()[2], testRecord("bad", 0))
	produce(t, cluster, append(records, manyRecords(4, 10)...)...)
	trigger := start(t, testConfig(cluster, sink.URL))
	eventually(t, "neighbours taken", func() bool { return sink.count() == 40 })
	eventually(t, "dead letters tried again", func() bool { return trigger.retries("dead-letter") > 2 })
	trigger.stop(t) // commits what is marked
	if got := total(committed(t, cluster, 1)); got != 3 {
		t.Errorf("committed up to %d, the poison is at 3", got)
	}
	down.Remove()
	start(t, testConfig(cluster, sink.URL))
	sink.want(cluster, 1, 40, 45)
	letters(t, cluster, 2)
}

// An event larger than a batch travels alone; refused, it is a dead letter.
func TestOversizedEvent(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, 1, kfake.BrokerConfigs(map[string]string{"message.max.bytes": "8000000", "group.initial.rebalance.delay.ms": "0"}))
	sink := newSinkServer(t, func(_ *http.Request, batch []testEvent) int {
		if has(batch, "huge") {
			if len(batch) > 1 {
				return http.StatusInternalServerError
			}
			return http.StatusRequestEntityTooLarge
		}
		return http.StatusAccepted
	})
	large, huge := testRecord("large", 0), testRecord("huge", 0)
	large.Value = []byte(`"` + strings.Repeat("x", 2<<20) + `"`)
	huge.Value = []byte(`"` + strings.Repeat("y", 3<<20) + `"`)
	produce(t, cluster, testRecord("a", 0), large, testRecord("a", 1), huge, testRecord("a", 2))
	start(t, testConfig(cluster, sink.URL)) // batches of 1 MiB, fetches of 64 KiB
	sink.want(cluster, 1, 4, 5)
	if letter := letters(t, cluster, 1)[0]; len(letter.Value) != len(huge.Value) {
		t.Errorf("dead letter has %d bytes", len(letter.Value))
	}
}
