package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// Fault is one that struck.
type Fault struct {
	Record int           // after so many records
	At     time.Duration // since the traffic began
	What   string
	Kind   string
}

func (f Fault) String() string {
	return fmt.Sprintf("record %d, %.1f s: %s", f.Record, f.At.Seconds(), f.What)
}

// kind is one way to do harm. do says what it did, or "" if there was nothing to
// do it to: a process that is being started again, say.
type kind struct {
	name   string
	weight int // how often, in relation to the others
	do     func(ctx context.Context) string
}

// faults strike, one after the other, though one may begin while another goes on.
type faults struct {
	soak   *soak
	r      *rand.Rand // of the next fault: what became of those before does not matter
	kinds  []kind
	total  int
	log    []Fault
	freeze sync.WaitGroup // of processes that have to be woken
}

func newFaults(s *soak) *faults {
	f := &faults{soak: s}
	f.kinds = f.all()
	for _, k := range f.kinds {
		f.total += k.weight
	}
	return f
}

// next is how many records later the next fault strikes.
func (f *faults) next() int {
	f.r = rand.New(rand.NewPCG(f.soak.Traffic.Seed, uint64(len(f.log))))
	return 1 + f.r.IntN(2*f.soak.Every-1)
}

// strike does harm that the seed chooses. Where there is nothing to do it to,
// the next choice does.
func (f *faults) strike(ctx context.Context, record int) {
	for range 100 {
		k := f.choose()
		if what := k.do(ctx); what != "" {
			fault := Fault{Record: record, At: time.Since(f.soak.started), What: what, Kind: k.name}
			f.log = append(f.log, fault)
			return
		}
	}
}

func (f *faults) choose() kind {
	n := f.r.IntN(f.total)
	for _, k := range f.kinds {
		if n -= k.weight; n < 0 {
			return k
		}
	}
	panic("the weights sum to the total")
}

// wait returns when all frozen processes are awake.
func (f *faults) wait() {
	if f != nil {
		f.freeze.Wait()
	}
}
