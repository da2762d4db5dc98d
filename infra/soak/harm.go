package soak

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/millrace/millrace/infra/platform"
	"github.com/millrace/millrace/shared/fault"
)

// all are the kinds of harm, with their weights.
func (f *faults) all() []kind {
	return []kind{
		{"process killed (SIGKILL)", 40, func(context.Context) string { return f.signal(syscall.SIGKILL, f.processes()) }},
		{"process told to end (SIGTERM)", 10, func(context.Context) string { return f.signal(syscall.SIGTERM, f.processes()) }},
		{"process frozen", 10, f.frozen},
		{"PostgreSQL killed", 4, func(context.Context) string { return f.signal(syscall.SIGKILL, f.store("PostgreSQL")) }},
		{"PostgreSQL restarted", 3, func(context.Context) string { return f.signal(syscall.SIGINT, f.store("PostgreSQL")) }},
		{"PostgreSQL's connections cut", 10, f.cutPostgres},
		{"Redis killed", 4, func(context.Context) string { return f.signal(syscall.SIGKILL, f.store("Redis")) }},
		{"Redis emptied", 4, f.flushRedis},
		{"Redis' connections cut", 5, f.cutRedis},
		{"Kafka's leaders moved", 5, f.moveLeaders},
		{"Kafka's coordinators moved", 5, f.moveCoordinators},
	}
}

// processes are the functions, triggers, the relay and the gateway.
func (f *faults) processes() []*platform.Unit {
	var all []*platform.Unit
	for _, p := range f.soak.platform.Addresses.Processes {
		all = append(all, f.soak.platform.Unit(p.Name))
	}
	return all
}

func (f *faults) store(name string) []*platform.Unit {
	if u := f.soak.platform.Store(name); u != nil {
		return []*platform.Unit{u}
	}
	return nil
}

// signal sends a signal to one of the units.
func (f *faults) signal(signal syscall.Signal, units []*platform.Unit) string {
	if len(units) == 0 {
		return ""
	}
	u := units[f.r.IntN(len(units))]
	if u.Signal(signal) != nil {
		return ""
	}
	return fmt.Sprintf("%s to %s", names[signal], u.Name)
}

var names = map[syscall.Signal]string{syscall.SIGKILL: "SIGKILL", syscall.SIGTERM: "SIGTERM", syscall.SIGINT: "SIGINT"}

// frozen stops a process for up to twelve seconds, in which its partitions get
// another owner and its transactions end. Then it goes on as if nothing were.
func (f *faults) frozen(ctx context.Context) string {
	units := f.processes()
	u, length := units[f.r.IntN(len(units))], time.Second+time.Duration(f.r.IntN(11_000))*time.Millisecond
	if u.Signal(syscall.SIGSTOP) != nil {
		return ""
	}
	f.freeze.Go(func() {
		fault.Pause(ctx, length)
		_ = u.Signal(syscall.SIGCONT) // it may have been killed
	})
	return fmt.Sprintf("SIGSTOP to %s, for %.1f s", u.Name, length.Seconds())
}

const cutAll = `
SELECT count(*)
FROM (
    SELECT pg_terminate_backend(pid)
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
) AS cut`

func (f *faults) cutPostgres(ctx context.Context) string {
	var n int
	if err := f.soak.pool.QueryRow(ctx, cutAll).Scan(&n); err != nil || n == 0 {
		return ""
	}
	return fmt.Sprintf("%d connections of PostgreSQL cut", n)
}

func (f *faults) flushRedis(ctx context.Context) string {
	if f.soak.redis.FlushAll(ctx).Err() != nil {
		return ""
	}
	return "FLUSHALL in Redis"
}

func (f *faults) cutRedis(ctx context.Context) string {
	client, ok := f.soak.redis.(*redis.Client)
	if !ok || client.ClientKillByFilter(ctx, "TYPE", "normal", "SKIPME", "yes").Err() != nil {
		return ""
	}
	return "all connections of Redis cut"
}

func (f *faults) moveLeaders(context.Context) string {
	f.soak.platform.Kafka().Cluster().ShufflePartitionLeaders()
	return "all partitions of Kafka get other leaders"
}

func (f *faults) moveCoordinators(context.Context) string {
	f.soak.platform.Kafka().Cluster().RehashCoordinators()
	return "all consumer groups of Kafka get other coordinators"
}

// kindsOf counts faults by kind, the most frequent first.
func kindsOf(log []Fault) []string {
	count := map[string]int{}
	var kinds []string
	for _, f := range log {
		if count[f.Kind]++; count[f.Kind] == 1 {
			kinds = append(kinds, f.Kind)
		}
	}
	slices.SortStableFunc(kinds, func(a, b string) int { return count[b] - count[a] })
	for n, k := range kinds {
		kinds[n] = fmt.Sprintf("%d %s", count[k], k)
	}
	return kinds
}
