package runtime

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/fault"
)

func want(tenant string, n int) demand {
	return demand{total: n, byTenant: map[string]int{tenant: n}}
}

// start acquires in the background and returns once the request waits.
func start(t *testing.T, a *admission, d demand) (done chan error) {
	t.Helper()
	done = make(chan error, 1)
	before := waiting(a)
	go func() { done <- a.acquire(t.Context(), d) }()
	for waiting(a) == before {
		select {
		case err := <-done:
			t.Fatalf("did not wait: %v", err)
		default:
		}
	}
	return done
}

func waiting(a *admission) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.waiters)
}

func TestAdmissionWaitsForRoom(t *testing.T) {
	t.Parallel()
	a := newAdmission(10, 100)
	if err := a.acquire(t.Context(), want("a", 8)); err != nil {
		t.Fatal(err)
	}
	first := start(t, a, want("b", 5))
	second := start(t, a, want("c", 1)) // would fit, but came later
	a.release(map[string]int{"a": 8})
	if err := <-first; err != nil {
		t.Error(err)
	}
	if err := <-second; err != nil {
		t.Error(err)
	}
	if got := a.inUse(); got != 6 {
		t.Errorf("%d events have room, want 6", got)
	}
}

// One tenant's flood fills its share, and others pass it, as many as there is room
// for: also where what the flood waits for is more than is left.
func TestAdmissionIsFair(t *testing.T) {
	t.Parallel()
	a := newAdmission(10, 50)
	if err := a.acquire(t.Context(), want("flood", 5)); err != nil {
		t.Fatal(err)
	}
	flood := start(t, a, want("flood", 4))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, tenant := range []string{"small", "other"} {
		if err := a.acquire(ctx, want(tenant, 2)); err != nil {
			t.Fatal(tenant, err)
		}
	}
	if waiting(a) != 1 {
		t.Error("the flood does not wait any more")
	}
	a.release(map[string]int{"flood": 5})
	if err := <-flood; err != nil {
		t.Error(err)
	}
}

// A large request is not passed by small ones of its own tenant for ever.
func TestAdmissionKeepsATenantsOrder(t *testing.T) {
	t.Parallel()
	for _, large := range []int{5, 20} {
		a := newAdmission(10, 100)
		if err := a.acquire(t.Context(), want("a", 8)); err != nil {
			t.Fatal(err)
		}
		first := start(t, a, want("a", large))
		second := start(t, a, want("a", 1)) // would fit
		a.release(map[string]int{"a": 8})
		if err := <-first; err != nil {
			t.Fatal(err)
		}
		if large > 10 {
			a.release(map[string]int{"a": large})
		}
		if err := <-second; err != nil {
			t.Fatal(err)
		}
	}
}

func TestAdmissionEndsAtTheDeadline(t *testing.T) {
	t.Parallel()
	a := newAdmission(10, 100)
	if err := a.acquire(t.Context(), want("a", 10)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := a.acquire(ctx, want("b", 1))
	if fault.KindOf(err) != fault.Overloaded {
		t.Errorf("got %v, want overloaded", err)
	}
	if waiting(a) != 0 {
		t.Error("the request still waits")
	}
}

// A request larger than the whole is let in alone, and a closed intake lets
// nothing in.
func TestAdmissionOfTheLarge(t *testing.T) {
	t.Parallel()
	a := newAdmission(10, 50)
	a.setClosed(true)
	large := start(t, a, want("a", 20))
	a.setClosed(false)
	if err := <-large; err != nil {
		t.Fatal(err)
	}
	small := start(t, a, want("b", 1))
	a.release(map[string]int{"a": 20})
	if err := <-small; err != nil {
		t.Fatal(err)
	}
}

// A request that finds no room leaves while there were still time to decide it: of
// many that came together the last would else get room one after the other when it
// is too late for each.
func TestHalfOfTheTimeIsForTheDecision(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := &intake{config: Config{RequestTimeout: 20 * time.Second}, admission: newAdmission(1, 100),
			adopt: func(*event.Event) {}, shards: make([]*shard, 1)}
		if err := in.admission.acquire(t.Context(), want("a", 1)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), in.config.RequestTimeout)
		defer cancel()
		before := time.Now()
		released := false
		_, err := in.decide(ctx, []event.Received{{Raw: []byte("x")}}, func() { released = true })
		if fault.KindOf(err) != fault.Overloaded || !released {
			t.Errorf("got %v, released %v, want overloaded and released", err, released)
		}
		if got := time.Since(before); got != 10*time.Second {
			t.Errorf("it waited %v, want 10s", got)
		}
	})
}

// A transaction for a request that is nearly over has time to end all the same.
func TestTransactionHasTime(t *testing.T) {
	t.Parallel()
	now := time.Now()
	due := func(in time.Duration) *candidate { return &candidate{request: newRequest(1, now.Add(in))} }
	s := newShard(nil, 0, 4, time.Second, nil)
	for _, c := range []struct {
		batch []*candidate
		want  time.Duration
	}{
		{[]*candidate{due(time.Millisecond)}, time.Second},
		{[]*candidate{due(time.Millisecond), due(time.Minute), due(time.Second)}, time.Minute},
	} {
		if got := s.deadline(c.batch, now).Sub(now); got != c.want {
			t.Errorf("it has %v, want %v", got, c.want)
		}
	}
}

// A batch takes from each tenant in turn, and keeps each tenant's order.
func TestShardIsFair(t *testing.T) {
	t.Parallel()
	s := newShard(nil, 0, 4, 0, nil)
	var flood []*candidate
	for _, id := range []string{"a1", "a2", "a3", "a4", "a5"} {
		c := ev(id)
		c.event.TenantID = "flood"
		flood = append(flood, c)
	}
	s.put(flood)
	s.put([]*candidate{ev("b1"), ev("b2")})
	for _, want := range []string{"a1 b1 a2 b2", "a3 a4 a5", ""} {
		batch, _ := s.take()
		var got string
		for _, c := range batch {
			got += " " + c.event.ID
		}
		if want != "" {
			want = " " + want
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
