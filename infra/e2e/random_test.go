package e2e_test

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/infra/invariants"
	"github.com/millrace/millrace/infra/platform"
)

// TestRandomTraffic sends random traffic while processes are killed. In the end
// every invariant holds, and all is as the model has it.
func TestRandomTraffic(t *testing.T) {
	w := theWorld(t)
	seed := w.knobs.Seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("MILLRACE_SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	scripts := plot(r, w.knobs.Events/2)
	want := imagine(scripts)
	fromCentre, outcomes := centre(seed, w.knobs.Events/2)
	maps.Copy(want.outcomes, outcomes)
	traffic := inOrder(append(deliveries(r, scripts), fromCentre...))
	total := len(want.outcomes) + want.emitted
	began := w.decisions(t.Context())
	started := time.Now()

	k := &killer{world: w}
	ctx, cancel := context.WithTimeout(t.Context(), w.knobs.Patience)
	defer cancel()
	var killers sync.WaitGroup
	for n, of := range []struct {
		victims []*platform.Unit
		kills   int
	}{{w.victims(), w.knobs.Kills}, {w.stores(), w.knobs.Stores}} {
		r := rand.New(rand.NewPCG(seed, uint64(n)+1))
		killers.Go(func() { k.run(ctx, r, after(began, moments(r, of.kills, total)), of.victims) })
	}
	sent := w.send(ctx, t, traffic, began, total)
	killers.Wait()
	w.settle(t)
	took := time.Since(started)

	deps := w.deps()
	deps.Sent = slices.Values(sent)
	report, err := invariants.Check(t.Context(), deps)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d events, of %d scripts and the contact centre, in %d records, %d decisions, killed: %s; at rest after %.1f s: %s",
		len(want.outcomes), len(scripts), len(traffic), total, strings.Join(k.log, ", "), took.Seconds(), report.String())
	if !report.Holds() {
		t.Error("an invariant is broken")
	}
	if n := len(k.log); n != w.knobs.Kills+w.knobs.Stores {
		t.Errorf("only %d processes were killed: the others' moment did not come", n)
	}
	want.compare(t, w)
	w.checkLogs(t)
}

// settle waits for the end. If it does not come, what is broken says more than
// that.
func (w *world) settle(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), w.knobs.Patience)
	defer cancel()
	if err := errors.Join(invariants.Settle(ctx, w.deps()), invariants.AwaitViews(ctx, w.deps())); err != nil {
		t.Error(err)
	}
}

func after(began int, moments []int) []int {
	for n := range moments {
		moments[n] += began
	}
	return moments
}

// chunk is how many records are sent at once.
const chunk = 100

// send sends the traffic, about as fast as it is worked off, and returns what
// Kafka has acknowledged: all of it.
func (w *world) send(ctx context.Context, t *testing.T, traffic []delivery, began, total int) []invariants.Sent {
	t.Helper()
	var sent []invariants.Sent
	checked := w.knobs.Stores > 0 // a check cannot look into a database that is killed
	for from := 0; from < len(traffic); from += chunk {
		if !checked && from >= len(traffic)/2 {
			checked = true
			w.checkAtWork(ctx, t)
		}
		w.keepPace(ctx, began+total*from/len(traffic)-total/5)
		var records []*kgo.Record
		for _, d := range traffic[from:min(from+chunk, len(traffic))] {
			records = append(records, d.record)
		}
		results := w.client.ProduceSync(ctx, records...)
		if err := results.FirstErr(); err != nil {
			t.Fatalf("sending: %v", err)
		}
		for _, r := range results {
			sent = append(sent, invariants.Sent{Topic: r.Record.Topic, Partition: r.Record.Partition, Offset: r.Record.Offset})
		}
	}
	return sent
}

// checkAtWork checks in the middle of the work, with processes dying beside it:
// what is on its way is no fault.
func (w *world) checkAtWork(ctx context.Context, t *testing.T) {
	t.Helper()
	deps := w.deps()
	deps.Live = true
	report, err := invariants.Check(ctx, deps)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("at work: %s", report.String())
	if !report.Holds() {
		t.Error("an invariant is broken at work")
	}
}

// keepPace waits until so many decisions have been made, but not for long: some
// wait for what comes later.
func (w *world) keepPace(ctx context.Context, decisions int) {
	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for w.decisions(ctx) < decisions {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
