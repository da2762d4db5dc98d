package outbox

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/millrace/millrace/shared/event"
)

func TestDeadLetterMessage(t *testing.T) {
	t.Parallel()
	readable := `{"specversion":"1.0","id":"1","source":"/s","type":"trade.x.v1","subject":"acct","tenantid":"acme","data":{"a":1}}`
	for name, test := range map[string]struct {
		letter deadLetter
		want   string
	}{
		"undecided": {
			deadLetter{function: "trade", kind: "undecided", reason: "unknown-type", cause: "no rule\nfor it", event: []byte(readable)},
			`trade-events-dead-letter acct {"specversion":"1.0","id":"1","source":"/s","type":"trade.x.v1","subject":"acct","tenantid":"acme",` +
				`"knativeerrorcode":"400","knativeerrordata":"unknown-type: no rule for it","knativeerrordest":"/millrace/trade","data":{"a":1}}` +
				` [{content-type application/cloudevents+json; charset=UTF-8}]`,
		},
		"refused": {
			deadLetter{function: "trade", kind: "refused", reason: "no", cause: "because", event: []byte(readable)},
			`trade-events-dead-letter acct {"specversion":"1.0","id":"1","source":"/s","type":"trade.x.v1","subject":"acct","tenantid":"acme",` +
				`"knativeerrorcode":"422","knativeerrordata":"no: because","knativeerrordest":"/millrace/trade","data":{"a":1}}` +
				` [{content-type application/cloudevents+json; charset=UTF-8}]`,
		},
		"no event": {
			deadLetter{function: "trade", kind: "undecided", reason: "malformed", cause: "?", event: []byte("\xff\x00")},
			"trade-events-dead-letter  \xff\x00 [{ce_knativeerrordest /millrace/trade} {ce_knativeerrorcode 400} {ce_knativeerrordata malformed: ?}]",
		},
	} {
		m := test.letter.message()
		if got := fmt.Sprintf("%s %s %s %v", m.Topic, m.Key, m.Value, m.Headers); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, test.want)
		}
	}
}

// Whatever is dead fits into Kafka.
func TestDeadLetterFits(t *testing.T) {
	t.Parallel()
	large := bytes.Repeat([]byte{'x'}, 3<<20)
	e := &event.Event{ID: "1", Source: "/s", Type: "t.x.v1", Subject: "s", TenantID: "acme", IsJSON: true, Data: append(append([]byte{'"'}, large...), '"')}
	for _, content := range [][]byte{large, event.AppendJSON(nil, e)} {
		d := deadLetter{function: "trade", reason: "bad", cause: strings.Repeat("é", 2000), event: content}
		m := d.message()
		size := len(m.Value)
		for _, h := range m.Headers {
			size += len(h.Value)
		}
		if size > maxDeadLetter+10_000 {
			t.Errorf("%d bytes", size)
		}
	}
	if got := errorData(strings.Repeat("é", 2000)); len(got) > maxErrorData || strings.Contains(got, "\uFFFD") {
		t.Errorf("%d bytes: %s", len(got), got)
	}
}

// Large dead letters are in memory a few at a time, and rows that are gone are
// done.
func TestDeadLettersArePaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.commit(t, change{letters: []string{strings.Repeat("a", 5<<20), strings.Repeat("b", 5<<20), "gone", "c"}})
	w.exec(t, `DELETE FROM millrace.dead_letters WHERE event = 'gone'`)
	if err := w.relay().Publish(t.Context(), []Claim{c}); err != nil {
		t.Fatal(err)
	}
	if w.kafka.calls != 2 || len(w.kafka.messages) != 3 {
		t.Errorf("%d calls, %d messages", w.kafka.calls, len(w.kafka.messages))
	}
	c.DeadLetters = c.DeadLetters[:3]
	mustSettle(t, w, c)
}

// Of events that Kafka took in part, only the rest is tried again.
func TestPartlySent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.relay()
	c := w.commit(t, change{subjects: []string{"a"}, by: 1, emits: 4, letters: []string{"x", "y"}})
	var attempts [][]string
	w.kafka.fail(nil, func(messages []Message) error {
		var ids []string
		for _, m := range messages {
			ids = append(ids, fmt.Sprint(len(m.Value)))
		}
		attempts = append(attempts, ids)
		if len(attempts) == 1 {
			return &UnsentError{Unsent: []int{1, 3, 5}, Cause: errFault}
		}
		return nil
	})
	if err := r.Publish(t.Context(), []Claim{c}); err == nil {
		t.Fatal("no error")
	}
	if _, err := r.Sweep(t.Context(), 0, 10); err != nil {
		t.Fatal(err)
	}
	if len(attempts) != 2 || len(attempts[1]) != 3 {
		t.Fatal(attempts)
	}
	mustSettle(t, w, c)
}
