package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/millrace/millrace/infra/platform"
)

// killer ends processes at random moments of the work.
type killer struct {
	world *world

	mu  sync.Mutex
	log []string
}

// moments are how many decisions have been made when somebody is killed.
func moments(r *rand.Rand, kills, decisions int) []int {
	all := make([]int, kills)
	for n := range all {
		all[n] = r.IntN(decisions * 9 / 10)
	}
	slices.Sort(all)
	return all
}

// run kills at each moment, until ctx ends.
func (k *killer) run(ctx context.Context, r *rand.Rand, moments []int, victims []*platform.Unit) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for len(moments) > 0 {
		if k.world.decisions(ctx) >= moments[0] && k.kill(pick(r, victims), moments[0]) {
			moments = moments[1:]
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// decisions counts those of all entities; -1 if the database does not answer.
func (w *world) decisions(ctx context.Context) int {
	var n int
	if err := w.pool.QueryRow(ctx, `SELECT coalesce(sum(version), 0)::bigint FROM millrace.entities`).Scan(&n); err != nil {
		return -1
	}
	return n
}

// kill kills a process with SIGKILL, unless it is being started again anyway.
func (k *killer) kill(u *platform.Unit, moment int) bool {
	if err := u.Signal(syscall.SIGKILL); err != nil {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.log = append(k.log, fmt.Sprintf("%s at %d", u.Name, moment))
	return true
}

// victims are the processes that are killed: functions, triggers, relay, gateway.
func (w *world) victims() []*platform.Unit {
	var all []*platform.Unit
	for _, p := range w.platform.Addresses.Processes {
		all = append(all, w.platform.Unit(p.Name))
	}
	return all
}

func (w *world) stores() []*platform.Unit {
	var all []*platform.Unit
	for _, name := range []string{"PostgreSQL", "Redis"} {
		if u := w.platform.Store(name); u != nil {
			all = append(all, u)
		}
	}
	return all
}
