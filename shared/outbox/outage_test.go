package outbox

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/views"
)

// An outage of Redis holds nothing up but views: Kafka gets everything, memory
// is given back, one line is logged, and a sweep later makes it good.
func TestRedisOutage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := w.newRedis(t)
	down := &redisFault{}
	client.AddHook(down)
	down.mode.Store(int32(failed))
	r := w.relay(func(c *RelayConfig) { c.Redis, c.Lease = client, time.Nanosecond })
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	var claims []Claim
	for n := range 40 {
		c := w.commit(t, change{subjects: []string{subjectOf(n % 5)}, by: 1, emits: 1})
		claims = append(claims, c)
		r.Offer(c)
	}
	stop()
	<-done
	if s := r.Stats(); s.Held != 0 || s.Failed != 40 || s.Emitted != 40 || s.Finished != 0 {
		t.Errorf("%+v", s)
	}
	if n, err := r.Backlog(t.Context(), "tally", 100); err != nil || n != 0 {
		t.Error(n, err)
	}
	w.exec(t, `UPDATE millrace.outbox SET claimed_until = now() + interval '1 hour' WHERE id > $1`, claims[2].ID)
	if n, err := r.Sweep(t.Context(), 0, 1); n != 1 || !IsUnreachable(err) { // the others are not even taken
		t.Error(n, err)
	}
	w.logged(t, "Redis fails", 1)
	w.logged(t, "level=WARN", 1)

	down.mode.Store(int32(none))
	w.exec(t, `UPDATE millrace.outbox SET claimed_until = NULL`)
	if n, err := r.Sweep(t.Context(), 0, 100); err != nil || n != 40 {
		t.Fatal(n, err)
	}
	mustSettle(t, w, claims...)
	w.logged(t, "Redis works again", 1)
	if len(w.kafka.messages) != 40 {
		t.Errorf("%d messages", len(w.kafka.messages))
	}
}

// The other way round: Kafka is down.
func TestKafkaOutage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kafka.fail(func([]Message) error { return errFault }, nil)
	r := w.relay()
	var claims []Claim
	for n := range 10 {
		c := w.commit(t, change{subjects: []string{subjectOf(n)}, by: 1, emits: 1, letters: []string{"x"}})
		claims = append(claims, c)
		r.Offer(c)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	r.Run(ctx)
	if err := w.shows(t.Context()); err != nil {
		t.Error(err)
	}
	for limit, want := range map[int]int{5: 5, 100: 10} {
		if n, err := r.Backlog(t.Context(), "tally", limit); err != nil || n != want {
			t.Error(n, err)
		}
	}
	w.logged(t, "Kafka fails", 1)
	w.kafka.fail(nil, nil)
	if _, err := r.Sweep(t.Context(), 0, 3); err != nil {
		t.Fatal(err)
	}
	mustSettle(t, w, claims...)
}

// While Redis is known to be down offered claims do not ask it.
func TestOfferedClaimsWaitOutAnOutage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	opened := 0
	r := w.relay(func(c *RelayConfig) {
		c.Redis, c.BackOff = nil, time.Hour
		c.OpenRedis = func(ctx context.Context) (redis.UniversalClient, error) {
			if opened++; opened < 3 {
				return nil, errFault
			}
			return views.Open(ctx, w.redisURL)
		}
	})
	t.Cleanup(func() { _ = r.Close() })
	a := w.commit(t, change{subjects: []string{"a"}, by: 1})
	for range 2 { // asked for, it tries at once
		if err := r.Publish(t.Context(), []Claim{a}); !IsUnreachable(err) || !errors.Is(err, errFault) {
			t.Fatal(err)
		}
	}
	r.Offer(w.commit(t, change{subjects: []string{"b"}, by: 1}))
	ctx, stop := context.WithCancel(t.Context())
	stop()
	r.Run(ctx)
	if opened != 2 {
		t.Errorf("asked %d times", opened)
	}
	if n, err := r.Sweep(t.Context(), 0, 10); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	mustSettle(t, w)
}

func TestBackOff(t *testing.T) {
	t.Parallel()
	w := &world{logs: &stacktest.Log{}, fn: newTally()}
	o := w.relay(func(c *RelayConfig) { c.BackOff = time.Hour }).redisOut
	if o.waiting() {
		t.Error("waits for nothing")
	}
	for _, hours := range []float64{1, 2, 4, 8, 16, 30, 30} {
		if err := o.note(t.Context(), errFault); !errors.Is(err, errFault) || !o.waiting() || o.wait.Hours() != hours {
			t.Error(o.wait, hours)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := o.note(ended, errFault); err == nil || o.wait != 30*time.Hour {
		t.Error("an attempt that was called off counts")
	}
	if err := o.note(t.Context(), nil); err != nil || o.waiting() {
		t.Error("waits after it worked")
	}
}

// What a relay has in hand when it is told to stop has a grace period and no
// longer.
func TestGrace(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	working, stop := withGrace(ctx, time.Nanosecond)
	defer stop()
	if working.Err() != nil {
		t.Fatal("ended at once")
	}
	cancel()
	<-working.Done()

	ctx, cancel = context.WithCancel(t.Context())
	working, stop = withGrace(ctx, time.Hour)
	cancel()
	if working.Err() != nil {
		t.Fatal("no grace")
	}
	stop()
	<-working.Done()
}
