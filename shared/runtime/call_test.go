package runtime

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/millrace/millrace/shared/binding"
)

func TestCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, url := newIntake(t, w, nil)
	for _, test := range []struct {
		name, media string
		body        []byte
		status      int
		answer      string
	}{
		{"applied", binding.StructuredMedia, add("a", "x", 0, 1).Raw, 200, `{"id":"a","outcome":"applied","version":1}`},
		{"again", binding.StructuredMedia, add("a", "x", 0, 1).Raw, 200, `{"id":"a","outcome":"applied","duplicate":true,"version":1}`},
		{"refused", binding.StructuredMedia, add("b", "x", 0, -1).Raw, 422,
			`{"title":"refused","status":422,"id":"b","outcome":"refused","version":2,"reason":"negative","detail":"-1 is below zero"}`},
		{"refused again", binding.StructuredMedia, add("b", "x", 0, -1).Raw, 422,
			`{"title":"refused","status":422,"id":"b","outcome":"refused","duplicate":true,"version":2,"reason":"negative"}`},
		{"another content", binding.StructuredMedia, add("a", "x", 0, 2).Raw, 422,
			`{"title":"dead-letter","status":422,"id":"a","outcome":"dead-letter","reason":"identity-conflict","detail":"an event with this source and id, but another content, was decided before"}`},
		{"bad payload", binding.StructuredMedia, add("c", "x", 0, 1, "invalid").Raw, 422,
			`{"title":"dead-letter","status":422,"id":"c","outcome":"dead-letter","reason":"bad-payload","detail":"note: is invalid"}`},
		{"early", binding.StructuredMedia, add("d", "x", 2, 1).Raw, 202, `{"id":"d","outcome":"parked"}`},
		{"a batch of one", binding.BatchMedia, batchOf(add("e", "x", 0, 1)), 200, `{"id":"e","outcome":"applied","version":3}`},
		{"no event", binding.BatchMedia, []byte("[]"), 400, `"detail":"a call has one event`},
		{"two events", binding.BatchMedia, batchOf(add("f", "x", 0, 1), add("g", "x", 0, 1)), 400, `"detail":"2 events, where there may be 1"`},
		{"unreadable", binding.StructuredMedia, []byte("{"), 422, `"outcome":"dead-letter","reason":"malformed"`},
	} {
		status, answer := post(t, url+"/call", test.media, test.body)
		if status != test.status || !strings.Contains(answer, test.answer) {
			t.Errorf("%s: got %d %s, want %d %s", test.name, status, answer, test.status, test.answer)
		}
	}
	expect(t, w.text(t, `SELECT string_agg(id, ',' ORDER BY id) FROM millrace.seen`), "a,b,e")
}

// Calls with one event at once are decided once, and all hear the same.
func TestCallsWithOneEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, url := newIntake(t, w, nil)
	const calls = 20
	answers := make([]Answer, calls)
	var sent sync.WaitGroup
	for n := range calls {
		sent.Go(func() {
			status, answer := post(t, url+"/call", binding.StructuredMedia, add("a", "x", 0, 7).Raw)
			if err := json.Unmarshal([]byte(answer), &answers[n]); err != nil || status != http.StatusOK {
				t.Errorf("%d %s: %v", status, answer, err)
			}
		})
	}
	sent.Wait()
	first := 0
	for _, a := range answers {
		if !a.Duplicate {
			first++
		}
		a.Duplicate = false
		if want := (Answer{ID: "a", Outcome: "applied", Version: 1}); a != want {
			t.Errorf("got %+v", a)
		}
	}
	expect(t, fmt.Sprint(first), "1")
	expect(t, w.text(t, `SELECT total::text FROM counters`), "7")
}
