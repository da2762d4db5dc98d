package outbox

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/millrace/millrace/shared/views"
)

// While a process has a claim that it could not publish yet, no sweeper takes it;
// and when the process is gone, one does.
func TestHeldClaimsAreNotSwept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	busy, free := make(chan struct{}), make(chan struct{})
	holder := w.relay(func(c *RelayConfig) { c.Keep = time.Hour })
	holder.apply = func(ctx context.Context, client redis.UniversalClient, all []views.View, c views.Claim) (views.Result, error) {
		close(busy)
		<-free
		return views.Apply(ctx, client, all, c)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { holder.Run(ctx); close(ended) }()
	claim := w.commit(t, change{subjects: []string{"a"}, by: 1})
	holder.Offer(claim)
	<-busy

	if err := holder.keep(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if n, err := w.relay().Sweep(t.Context(), 0, 10); err != nil || n != 0 {
		t.Errorf("a sweep took %d held rows, %v", n, err)
	}
	w.exec(t, `UPDATE millrace.outbox SET claimed_until = now() WHERE id = $1`, claim.ID) // the time is over
	if n, err := w.relay().Sweep(t.Context(), 0, 10); err != nil || n != 1 {
		t.Errorf("a sweep took %d rows that nobody keeps, %v", n, err)
	}
	close(free)
	stop()
	<-ended
	mustSettle(t, w, claim)
	if held := holder.queue.since(time.Now()); len(held) > 0 {
		t.Errorf("what is done is held: %v", held)
	}
}
