package outbox

import (
	"context"
	"testing"
	"time"
)

func TestPublish(t *testing.T) {
	t.Parallel()
	for _, fromMemory := range []bool{true, false} {
		w := newWorld(t)
		r := w.relay()
		c := w.commit(t, change{subjects: []string{"a", "b", "ccc"}, by: 5, emits: 2, letters: []string{"not JSON", `{"specversion":"1.0","id":"1","source":"/s","type":"tally.t.v1","subject":"x"}`}})
		d := w.commit(t, change{subjects: []string{"a"}, by: -5})
		if fromMemory {
			if err := r.Publish(t.Context(), []Claim{c, d}); err != nil {
				t.Fatal(err)
			}
			if w.kafka.calls != 1 {
				t.Errorf("%d calls to Kafka", w.kafka.calls)
			}
		} else if n, err := r.Sweep(t.Context(), 0, 10); err != nil || n != 2 {
			t.Fatal(n, err)
		}
		mustSettle(t, w, c, d)
		for n, e := range c.Emitted {
			if m := w.kafka.messages[n]; m.Key != e.Subject || m.Topic != "note-events" || m.Headers[0] != (Header{"content-type", structuredMedia}) {
				t.Errorf("%+v", m)
			}
		}
	}
}

// What is offered while Run publishes is published in one go, and what lies
// there when it is told to stop is published too.
func TestRunPublishesWhatIsOffered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.relay()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	entered, goOn := make(chan struct{}), make(chan struct{})
	w.kafka.fail(func(m []Message) error {
		if len(m) == 1 { // the first
			close(entered)
			<-goOn
		}
		return nil
	}, nil)
	go func() { defer close(done); r.Run(ctx) }()
	claims := []Claim{w.commit(t, change{subjects: []string{"a"}, by: 1, emits: 1})}
	r.Offer(claims[0])
	<-entered
	for n := range 10 {
		c := w.commit(t, change{subjects: []string{subjectOf(n)}, by: 2, emits: 3})
		claims = append(claims, c)
		r.Offer(c)
	}
	stop()
	close(goOn)
	<-done
	mustSettle(t, w, claims...)
	if w.kafka.calls != 2 {
		t.Errorf("%d calls to Kafka, want 2", w.kafka.calls)
	}
	r.Offer(w.commit(t, change{subjects: []string{"late"}, by: 1}))
	if s := r.Stats(); s.Forgotten != 1 || s.Held != 0 || s.Finished != 11 {
		t.Errorf("%+v", s)
	}
	if _, err := r.Sweep(t.Context(), 0, 10); err != nil {
		t.Fatal(err)
	}
	mustSettle(t, w, claims...)
}

func TestOfferForgetsWhatFindsNoRoom(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.relay(func(c *RelayConfig) { c.QueueBytes = 10_000 })
	var claims []Claim
	for range 10 {
		c := w.commit(t, change{subjects: []string{"a"}, by: 1, emits: 3})
		claims = append(claims, c)
		r.Offer(c)
	}
	s := r.Stats()
	if s.Forgotten == 0 || s.Forgotten == 10 || s.Held > 10_000 {
		t.Fatalf("%+v", s)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	r.Run(ctx)
	if n, err := r.Sweep(t.Context(), 0, 10); err != nil || n != int(s.Forgotten) {
		t.Fatal(n, err)
	}
	mustSettle(t, w, claims...)
}

// A row is left to the process that wrote it until it is old.
func TestSweepLeavesYoungRows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.relay()
	c := w.commit(t, change{subjects: []string{"a"}, by: 1})
	if n, err := r.Sweep(t.Context(), time.Hour, 10); err != nil || n != 0 {
		t.Fatal(n, err)
	}
	w.exec(t, `UPDATE millrace.outbox SET created_at = now() - interval '1 hour'`)
	if n, err := r.Sweep(t.Context(), time.Hour, 10); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	mustSettle(t, w, c)
}
