package views

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"
)

// Whatever the order in which claims are applied, and however often, Redis shows in
// the end what applying the latest of each shows.
func TestConverges(t *testing.T) {
	backends(t, func(t *subject) {
		client := t.client
		check(t, func(rt *rapid.T) {
			world := newWorld(rt)
			claims := world.history.Draw(rt, "claims")
			// Whatever was drawn, each latest claim comes at some time.
			claims = append(claims, world.latest()...)
			claims = rapid.Permutation(claims).Draw(rt, "order")
			tenant := newTenant()
			for from := 0; from < len(claims); {
				to := min(len(claims), from+rapid.IntRange(1, 6).Draw(rt, "claims at once"))
				world.apply(rt, client, tenant, claims[from:to])
				from = to
			}
			world.compare(rt, client, tenant)

			ordered := newTenant()
			for _, claim := range world.latest() {
				world.apply(rt, client, ordered, []change{claim})
			}
			world.compare(rt, client, ordered)
		})
	})
}

// The same with several processes that apply at once.
func TestConvergesConcurrently(t *testing.T) {
	backends(t, func(t *subject) {
		client := t.client
		check(t, func(rt *rapid.T) {
			world := newWorld(rt)
			var orders [][]change
			for range 4 {
				claims := append(world.history.Draw(rt, "claims"), world.latest()...)
				orders = append(orders, rapid.Permutation(claims).Draw(rt, "order"))
			}
			tenant := newTenant()
			var group errgroup.Group
			for _, claims := range orders {
				group.Go(func() error {
					for chunk := range slices.Chunk(claims, 3) {
						if err := world.send(t.Context(), client, tenant, chunk, false); err != nil {
							return err
						}
					}
					return nil
				})
			}
			if err := group.Wait(); err != nil {
				rt.Fatal(err)
			}
			world.compare(rt, client, tenant)
		})
	})
}

// change is one thing at one version of one epoch.
type change struct {
	thing          int
	epoch, version int64
}

// world is some things, and what each shows at each version: for a given seed the
// same every time, as a function's pure rendering is.
type world struct {
	seed    uint64
	keep    int
	things  int
	epochs  int64
	last    []int64 // by thing: its last version in the last epoch
	history *rapid.Generator[[]change]
}

func newWorld(t *rapid.T) *world {
	w := &world{
		seed:   rapid.Uint64().Draw(t, "seed"),
		keep:   rapid.IntRange(1, 3).Draw(t, "keep"),
		things: 1 + 3 + 4 + rapid.IntRange(1, 10).Draw(t, "recent members"),
		epochs: rapid.Int64Range(1, 2).Draw(t, "epochs"),
	}
	for range w.things {
		w.last = append(w.last, rapid.Int64Range(1, 4).Draw(t, "last version"))
	}
	w.history = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) change {
		c := change{
			thing: rapid.IntRange(0, w.things-1).Draw(t, "thing"),
			epoch: rapid.Int64Range(1, w.epochs).Draw(t, "epoch"),
		}
		// A lost timeline may have gone further than the one that followed it.
		last := w.last[c.thing]
		if c.epoch < w.epochs {
			last = 6
		}
		c.version = rapid.Int64Range(1, last).Draw(t, "version")
		return c
	}), 0, 40)
	return w
}

// latest is the last change of each thing.
func (w *world) latest() []change {
	var changes []change
	for i, version := range w.last {
		changes = append(changes, change{thing: i, epoch: w.epochs, version: version})
	}
	return changes
}

func (w *world) render(tenant string, c change) View {
	random := rand.New(rand.NewPCG(w.seed, uint64(c.thing)<<32|uint64(c.epoch)<<16|uint64(c.version)))
	text := fmt.Sprintf("%d at %d@%d", c.thing, c.version, c.epoch)
	present := random.IntN(3) > 0
	switch {
	case c.thing == 0:
		fields := map[string]string{}
		for range random.IntN(4) {
			fields[fmt.Sprint("f", random.IntN(5))] = text
		}
		return Hash{Key: Key(tenant, "hash"), Version: c.version, Fields: fields, Publish: true}
	case c.thing <= 3:
		return Member{
			Key: Key(tenant, "members"), Member: fmt.Sprint(c.thing), Version: c.version,
			Score: random.NormFloat64(), Present: present,
		}
	case c.thing <= 7:
		return Bit{Key: Key(tenant, "bits"), Member: fmt.Sprint(c.thing), Version: c.version, On: present}
	default:
		return Recent{
			Key: Key(tenant, "recent"), Member: fmt.Sprint(c.thing), Version: c.version,
			Score: float64(c.thing / 2), // ties
			Value: text, Keep: w.keep, Present: present, Publish: true,
		}
	}
}

func (w *world) apply(t *rapid.T, client redis.UniversalClient, tenant string, changes []change) {
	if err := w.send(t.Context(), client, tenant, changes, rapid.Bool().Draw(t, "rewrite")); err != nil {
		t.Fatal(err)
	}
}

// send applies changes, those of one epoch in one claim.
func (w *world) send(ctx context.Context, client redis.UniversalClient, tenant string, changes []change, rewrite bool) error {
	for epoch := int64(1); epoch <= w.epochs; epoch++ {
		var views []View
		for _, c := range changes {
			if c.epoch == epoch {
				views = append(views, w.render(tenant, c))
			}
		}
		claim := soon()
		claim.Epoch, claim.Rewrite = epoch, rewrite
		result, err := Apply(ctx, client, views, claim)
		if err != nil {
			return err
		}
		if !result.Settled() {
			return fmt.Errorf("%v", result.Outcomes)
		}
	}
	return nil
}

func (w *world) compare(t *rapid.T, client redis.UniversalClient, tenant string) {
	var want []View
	for _, c := range w.latest() {
		want = append(want, w.render(tenant, c))
	}
	different, err := Diff(t.Context(), client, want)
	if err != nil || len(different) > 0 {
		t.Fatal(different, err)
	}
	strays, err := Strays(t.Context(), client, tenant, want)
	if err != nil || len(strays) > 0 {
		t.Fatal(strays, err)
	}
}
