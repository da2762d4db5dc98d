package gateway

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/shared/binding"
	"github.com/millrace/millrace/shared/kafka"
)

const tradeLetters = "trade-events-dead-letter"

// bring posts to the subscriber's port, as a Broker does.
func (w *world) bring(t testing.TB, r request) response {
	t.Helper()
	return roundTrip(t, http.DefaultClient, r.build(t, w.subscriberURL))
}

// letters reads n dead letters of a topic; the test fails if there are more.
func (w *world) letters(t *testing.T, topic string, n int) []*kgo.Record {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.kafka.ListenAddrs()...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var all []*kgo.Record
	for len(all) < n && ctx.Err() == nil {
		all = append(all, client.PollFetches(ctx).Records()...)
	}
	var has int
	for _, p := range w.kafka.PartitionInfos(topic) {
		has += int(p.HighWatermark)
	}
	if len(all) != n || has != n {
		t.Fatalf("%s has %d records, read %d, want %d", topic, has, len(all), n)
	}
	return all
}

func headersOf(r *kgo.Record) map[string]string {
	all := map[string]string{}
	for _, h := range r.Headers {
		all[h.Key] = string(h.Value)
	}
	return all
}

// What a Broker brings and cannot be taken becomes a dead letter, as it came and
// with the reason, and the Broker is done with it.
func TestRefusedOfABroker(t *testing.T) {
	t.Parallel()
	structuredOf := func(change map[string]any) request {
		return request{"/", binding.StructuredMedia + "; charset=utf-8", structured("e 1", change), nil}
	}
	for name, test := range map[string]struct {
		request
		topic, key string
		code       string
		cause      string
		has        map[string]string // headers
	}{
		"structured": {structuredOf(map[string]any{"tenantid": nil}), tradeLetters, "account-1", "400", "tenantid is missing", map[string]string{
			"content-type": "application/cloudevents+json; charset=utf-8", "ce_id": "e 1", "ce_source": "/shop", "ce_type": "trade.executed.v1", "ce_specversion": "1.0"}},
		"binary": {request{"/", "text/plain", "hello\xff", binary("e%201", "ce-partitionkey: desk", "ce-x: y")}, tradeLetters, "desk", "400", "the data is not JSON", map[string]string{
			"content-type": "text/plain", "ce_id": "e 1", "ce_tenantid": "acme", "ce_x": "y", "ce_specversion": "1.0"}},
		"another family's":    {structuredOf(map[string]any{"type": "ledger.posted.v1", "time": "noon"}), "ledger-events-dead-letter", "account-1", "400", "RFC 3339", map[string]string{"ce_time": "noon"}},
		"nobody's":            {structuredOf(map[string]any{"type": "cake.baked.v1"}), kafka.OtherDeadLetters, "account-1", "400", "names no function", map[string]string{"ce_type": "cake.baked.v1"}},
		"no event":            {request{"/", "text/plain", "hello", nil}, kafka.OtherDeadLetters, "", "415", "got content type \"text/plain\"", map[string]string{"content-type": "text/plain"}},
		"nothing":             {request{"/", "", "", nil}, kafka.OtherDeadLetters, "", "415", "want application/cloudevents-batch+json", nil},
		"broken JSON":         {request{"/", binding.StructuredMedia, `{"type":"trade.x","subject":"s","data":`, nil}, tradeLetters, "s", "400", "EOF", map[string]string{"ce_type": "trade.x"}},
		"broken batch":        {request{"/", binding.BatchMedia, `[{"type":"trade.x"}`, nil}, kafka.OtherDeadLetters, "", "400", "reading event 1 of a CloudEvents batch", map[string]string{"content-type": binding.BatchMedia}},
		"an attribute twice":  {request{"/", jsonMedia, "{}", binary("e", "ce-id: f")}, tradeLetters, "account-1", "400", "Ce-Id comes 2 times", map[string]string{"ce_id": "e, f"}},
		"compressed":          {request{"/", jsonMedia, "\x1f\x8b", binary("e", "Content-Encoding: gzip")}, tradeLetters, "account-1", "415", "gzip", map[string]string{"content-encoding": "gzip"}},
		"a reserved source":   {structuredOf(map[string]any{"source": "/millrace/trade/a"}), tradeLetters, "account-1", "400", "is reserved", nil},
		"a large attribute":   {structuredOf(map[string]any{"x": strings.Repeat("x", 5000)}), tradeLetters, "account-1", "400", "x has 5000 bytes", map[string]string{"ce_x": "", "ce_id": "e 1"}},
		"a letter once more":  {request{"/", jsonMedia, "{", binary("e", "ce-knativeerrorcode: 500", "ce-knativeerrordest: http://other")}, tradeLetters, "account-1", "400", "the data is not JSON", nil},
		"the batch's own way": {request{"/", binding.BatchMedia, batch(structured("e 1", map[string]any{"time": nil})), nil}, tradeLetters, "account-1", "400", "time is missing", map[string]string{"content-type": binding.StructuredMedia, "ce_id": "e 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			w.bring(t, test.request).wants(t, name, http.StatusAccepted, "")
			letter := w.letters(t, test.topic, 1)[0]
			want := strings.TrimSuffix(strings.TrimPrefix(test.body, "["), "]")
			if name == "broken batch" {
				want = test.body
			}
			if string(letter.Value) != want || string(letter.Key) != test.key {
				t.Errorf("key %q, value %q", letter.Key, letter.Value)
			}
			got := headersOf(letter)
			if len(got) != len(letter.Headers) {
				t.Errorf("a header comes twice: %v", letter.Headers)
			}
			data, _ := base64.StdEncoding.DecodeString(got["ce_knativeerrordata"])
			if !strings.HasPrefix(got["millrace-cause"], "refused: "+test.code+" ") || !strings.Contains(got["millrace-cause"], test.cause) || !strings.Contains(string(data), test.cause) {
				t.Errorf("cause %q, data %q", got["millrace-cause"], data)
			}
			for key, value := range map[string]string{"ce_knativeerrorcode": test.code, "ce_knativeerrordest": w.subscriberURL + "/", "millrace-origin": "http"} {
				if got[key] != value {
					t.Errorf("header %s is %q, want %q", key, got[key], value)
				}
			}
			for key, value := range test.has {
				if got[key] != value {
					t.Errorf("header %s is %q, want %q", key, got[key], value)
				}
			}
			w.stored(t, 0)
			if !strings.Contains(w.log.String(), "became dead letters") {
				t.Error("the log says nothing")
			}
		})
	}
}

// Of a batch what is good goes on, and what is not becomes a dead letter.
func TestBatchOfABroker(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	large := structured("large", map[string]any{"data": strings.Repeat("x", w.maxEvent)})
	w.bring(t, request{"/", binding.BatchMedia, batch(structured("a", nil), `7`, structured("b", nil), structured("bad", map[string]any{"tenantid": nil}), large), nil}).
		wants(t, "batch", http.StatusAccepted, "")
	w.stored(t, 2)
	w.letters(t, kafka.OtherDeadLetters, 1)
	for _, letter := range w.letters(t, tradeLetters, 2) {
		if got := headersOf(letter); got["ce_id"] != "bad" && (got["ce_id"] != "large" || got["ce_knativeerrorcode"] != "413" || got["millrace-truncated"] == "") {
			t.Errorf("%v", got)
		}
	}
}

// However large an event is, its dead letter fits into a record, has what could
// be read of its attributes, and says what is missing.
func TestOversizedOfABroker(t *testing.T) {
	t.Parallel()
	data := func(bytes int) map[string]any { return map[string]any{"data": strings.Repeat("x", bytes)} }
	unsorted := `{"data":"` + strings.Repeat("x", 3<<20) + `",` + structured("e", nil)[1:]
	unsorted = strings.Replace(unsorted, `"data":{"side":"buy"},`, "", 1)
	for name, r := range map[string]request{
		"over the limit of an event": {"/", binding.StructuredMedia, structured("e", data(1<<20)), nil},
		"attributes last":            {"/", binding.StructuredMedia, unsorted, nil},
		"over the limit of a body":   {"/", binding.StructuredMedia, `{"id":"e","type":"trade.x","subject":"account-1","data":"` + strings.Repeat("x", 9<<20) + `"}`, nil},
		"binary":                     {"/", jsonMedia, `"` + strings.Repeat("x", 9<<20) + `"`, binary("e", "ce-x: "+strings.Repeat("y", 50_000))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			w.bring(t, r).wants(t, name, http.StatusAccepted, "")
			letter := w.letters(t, tradeLetters, 1)[0]
			got := headersOf(letter)
			if got["ce_id"] != "e" || got["ce_knativeerrorcode"] != "413" || string(letter.Key) != "account-1" {
				t.Errorf("key %s, %v", letter.Key, got)
			}
			if kept := len(letter.Value); kept < 900_000 || kept > 1<<20 || !strings.HasPrefix(r.body, string(letter.Value)) {
				t.Errorf("%d bytes are kept", kept)
			}
			var kept, of int
			if _, err := fmt.Sscanf(got["millrace-truncated"], "%d of %d bytes", &kept, &of); err != nil || kept != len(letter.Value) || of != min(len(r.body), 1<<22) {
				t.Errorf("millrace-truncated is %q", got["millrace-truncated"])
			}
		})
	}
}

// A header that others get 431 for is no reason to lose an event; what of it
// does not fit is left out of the dead letter.
func TestLargeHeaderOfABroker(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	r := request{"/", jsonMedia, "{}", binary("e", "ce-huge: "+strings.Repeat("y", 500_000), "ce-x: y")}
	w.bring(t, r).wants(t, "a large header", http.StatusAccepted, "")
	letter := w.letters(t, tradeLetters, 1)[0]
	got := headersOf(letter)
	if _, huge := got["ce_huge"]; huge || got["ce_x"] != "y" || got["ce_id"] != "e" || string(letter.Value) != "{}" ||
		got["millrace-cause"] != "refused: 400 huge has 500000 bytes, 1024 are allowed" {
		t.Errorf("%q: %v", letter.Value, got)
	}
	both := dial(t, w.subscriberURL)
	both.say(head(w.subscriberURL, "X: "+strings.Repeat("x", 200<<10), chunked, "Content-Length: 2", "", "2", "{}", "0", "", "")...)
	both.wants("both lengths after a large header", http.StatusBadRequest, "exclude each other")
}

// While the dead-letter topic cannot be written the Broker gets what it sends
// again after, and afterwards nothing is lost.
func TestDeadLetterTopicAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	bad := request{"/", binding.StructuredMedia, structured("e", map[string]any{"tenantid": nil}), nil}
	fault := w.kafka.Fault(kfake.Fault{Keys: produce, Topic: tradeLetters, Err: kerr.NotEnoughReplicas, Count: -1})
	wantsRetry(t, "away", w.bring(t, bad))
	fault.Remove()
	w.bring(t, bad).wants(t, "again", http.StatusAccepted, "")
	w.letters(t, tradeLetters, 1)

	gone := newWorld(t, func(c *Config) { c.Brokers, c.RequestTimeout = []string{"127.0.0.1:1"}, 500*time.Millisecond })
	wantsRetry(t, "all of Kafka away", gone.bring(t, bad))
	full := newWorld(t, func(c *Config) { c.InFlight, c.RequestTimeout = 1, 100*time.Millisecond })
	if err := full.room.Acquire(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	full.bring(t, bad).wants(t, "no room", http.StatusTooManyRequests, "in flight")
}

// A Broker that hears nothing, since the gateway died after it put the letter into
// Kafka, sends again: the letter is there twice, and the Broker is done.
func TestBrokerThatHearsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	bad := request{"/", binding.StructuredMedia, structured("e", map[string]any{"tenantid": nil}), nil}
	w.bring(t, bad) // its answer is not heard
	w.bring(t, bad).wants(t, "again", http.StatusAccepted, "")
	letters := w.letters(t, tradeLetters, 2)
	if string(letters[0].Value) != string(letters[1].Value) {
		t.Error("they are not the same")
	}
}

// A topic that takes less than it should gets shorter letters.
func TestLettersTooLargeForTheTopic(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.kafka.Fault(kfake.Fault{Keys: produce, Topic: tradeLetters, Err: kerr.MessageTooLarge, Count: 3})
	w.bring(t, request{"/", jsonMedia, strings.Repeat("x", 80_000), binary("e")}).wants(t, "large", http.StatusAccepted, "")
	if letter := w.letters(t, tradeLetters, 1)[0]; len(letter.Value) != 10_000 || headersOf(letter)["millrace-truncated"] != "10000 of 80000 bytes" {
		t.Errorf("%d bytes are kept: %v", len(letter.Value), headersOf(letter))
	}
}

// What did not come to its end is no event yet: a Broker sends it again after 408.
func TestBrokerThatBreaksOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	r := dial(t, w.subscriberURL)
	r.say(head(w.subscriberURL, "Content-Length: 100", "", "{")...)
	if half, ok := r.Conn.(*net.TCPConn); !ok || half.CloseWrite() != nil {
		t.Fatal("the connection cannot be closed by half")
	}
	r.wants("a body that ends early", http.StatusRequestTimeout, "ended early")
	w.letters(t, tradeLetters, 0)
}
