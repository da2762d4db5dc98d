package views

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// Deadlines follow the server's clock, however wrong this machine's is (fault 16).
func TestClock(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{-time.Hour, 0, time.Hour} {
		fake := miniredis.RunT(t)
		fake.SetTime(time.Now().Add(off))
		client := openTest(t, "redis://"+fake.Addr())
		clock := NewClock(client)
		deadline, err := clock.Deadline(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, view := range oneOfEach(newTenant()) {
			expect(t, apply(t, client, Claim{Deadline: deadline}, view)[0], Applied)
		}
		// The claim is paused for longer than it lives.
		fake.SetTime(time.Now().Add(off + Lifetime + time.Minute))
		for _, view := range oneOfEach(newTenant()) {
			expect(t, apply(t, client, Claim{Deadline: deadline}, view)[0], Expired)
		}
		if later, err := clock.Deadline(t.Context()); err != nil || later.Sub(deadline) > time.Minute {
			t.Fatal(later.Sub(deadline), err) // it counts on without asking
		}
		clock.Forget()
		if later, err := clock.Deadline(t.Context()); err != nil || later.Sub(deadline) < Lifetime {
			t.Fatal(later.Sub(deadline), err)
		}
	}
}

func TestClockOfEachBackend(t *testing.T) {
	backends(t, func(t *subject) {
		client := t.client
		now, err := NewClock(client).Now(t.Context())
		if err != nil || time.Since(now).Abs() > time.Minute {
			t.Fatal(now, err)
		}
	})
}
