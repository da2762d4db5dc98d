package outbox

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/millrace/millrace/shared/views"
)

// unversioned writes views whatever is there: the rule that the relay stands
// on, broken.
func unversioned(ctx context.Context, client redis.UniversalClient, all []views.View, c views.Claim) (views.Result, error) {
	result := views.Result{Outcomes: make([]views.Outcome, len(all))}
	for n, v := range all {
		result.Outcomes[n] = views.Applied
		switch v := v.(type) {
		case views.Hash:
			client.Del(ctx, v.Key, v.Key+":v")
		case views.Member:
			client.Del(ctx, v.Key+":v")
		}
	}
	_, err := views.Apply(ctx, client, all, c)
	return result, err
}

// A relay that pauses with old claims and comes back after others published
// newer ones must not bring Redis back.
func TestPausedRelay(t *testing.T) {
	t.Parallel()
	for name, pause := range map[string]func(t *testing.T, broken bool) error{
		"before it applies":   pausedBefore,
		"while it applies":    pausedWithin,
		"until it is too old": pausedForLong,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := pause(t, false); err != nil {
				t.Error(err)
			}
			if err := pause(t, true); err == nil {
				t.Error("the test does not notice that the rule is broken")
			}
		})
	}
}

// pausedBefore: the relay stops between the commit and the publication.
func pausedBefore(t *testing.T, broken bool) error {
	t.Helper()
	w := newWorld(t)
	paused, other := w.relay(), w.relay()
	if broken {
		paused.apply = unversioned
	}
	old := w.commit(t, change{subjects: []string{"a", "b"}, by: 1})
	later := w.commit(t, change{subjects: []string{"a", "b"}, by: -1})
	if err := other.Publish(t.Context(), []Claim{later}); err != nil {
		t.Fatal(err)
	}
	if err := paused.Publish(t.Context(), []Claim{old}); err != nil {
		t.Fatal(err)
	}
	return w.settled(t.Context())
}

// pausedWithin: it stops between reading what it shows and showing it.
func pausedWithin(t *testing.T, broken bool) error {
	t.Helper()
	w := newWorld(t)
	paused, other := w.relay(), w.relay()
	apply := paused.apply
	if broken {
		apply = unversioned
	}
	read, goOn := make(chan struct{}), make(chan struct{})
	paused.apply = func(ctx context.Context, client redis.UniversalClient, all []views.View, c views.Claim) (views.Result, error) {
		close(read)
		<-goOn
		return apply(ctx, client, all, c)
	}
	w.commit(t, change{subjects: []string{"a", "b"}, by: 1})
	swept := make(chan error, 1)
	go func() {
		_, err := paused.Sweep(t.Context(), 0, 10)
		swept <- err
	}()
	<-read
	later := w.commit(t, change{subjects: []string{"b", "a"}, by: 6})
	if err := other.Publish(t.Context(), []Claim{later}); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	if err := <-swept; err != nil {
		t.Fatal(err)
	}
	return w.settled(t.Context())
}

// pausedForLong: by the time it goes on, Redis has forgotten that what it is
// about to show was removed. Only the claim's age can stop it.
func pausedForLong(t *testing.T, broken bool) error {
	t.Helper()
	w := newWorld(t)
	paused, other := w.relay(), w.relay()
	old := w.commit(t, change{subjects: []string{"a"}, by: 1})
	later := w.commit(t, change{subjects: []string{"a"}, by: -1})
	if err := other.Publish(t.Context(), []Claim{later}); err != nil {
		t.Fatal(err)
	}
	w.redis.Del(t.Context(), views.Key(tenant, "tallies")+":v", views.Key(tenant, "tallies")+":t")
	if !broken {
		old.rendered = old.rendered.Add(-views.TombstoneTTL)
	}
	if err := paused.Publish(t.Context(), []Claim{old}); err != nil {
		t.Fatal(err)
	}
	return w.settled(t.Context())
}

// Many relays publish claims in any order, some several times, while others
// sweep the same rows.
func TestRelaysMeet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var claims []Claim
	for n := range 60 {
		by := int64(n%5 - 2)
		claims = append(claims, w.commit(t, change{subjects: []string{subjectOf(n % 7), subjectOf(7 + n%3)}, by: by, emits: 1}))
	}
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(n), 1))
			r := w.relay(func(c *RelayConfig) { c.Redis = w.redis })
			for _, k := range random.Perm(len(claims)) {
				if k%4 == n || random.IntN(3) == 0 {
					if err := r.Publish(t.Context(), []Claim{claims[k], claims[(k+1)%len(claims)]}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for range 2 {
		all.Go(func() {
			if _, err := w.relay().Sweep(t.Context(), 0, 7); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	mustSettle(t, w, claims...)
}

// Known views are as old as the clock says that is further on.
func TestAge(t *testing.T) {
	t.Parallel()
	wall := time.Now().Round(0).Add(-time.Hour) // no monotonic reading
	if got := age(wall); got < time.Hour {
		t.Error(got)
	}
}
