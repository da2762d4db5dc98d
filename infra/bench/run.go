package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/millrace/millrace/functions"
	"github.com/millrace/millrace/infra/invariants"
	"github.com/millrace/millrace/infra/platform"
	"github.com/millrace/millrace/infra/stack"
	"github.com/millrace/millrace/infra/traffic"
	"github.com/millrace/millrace/shared/views"
)

// bench is a running platform, and the ways into it.
type bench struct {
	Config

	platform *platform.Platform
	pool     *pgxpool.Pool
	redis    redis.UniversalClient
	result   Result
	expected traffic.Expected
	before   map[string]float64 // CPU seconds, by process
	began    time.Time          // by PostgreSQL's clock
}

// run is one run.
func (c Config) run(ctx context.Context) (r Result, err error) {
	data, err := platform.TemporaryData(c.Root, "bench-")
	if err != nil {
		return r, err
	}
	b := &bench{Config: c, before: map[string]float64{}, result: Result{CPUs: runtime.NumCPU(), Go: runtime.Version(), Load: load()}}
	defer func() { err = errors.Join(err, b.stop(), os.RemoveAll(data)) }()
	done := c.Reporter.Begin("starting the platform and filling the topics")
	b.platform, err = platform.Start(ctx, platform.Config{
		Folders:      platform.Folders{Root: c.Root, Data: data, Bin: filepath.Join(c.Root, platform.DataFolder, "e2e", "bin")},
		KafkaBrokers: c.KafkaBrokers, DatabaseURL: c.DatabaseURL, RedisURL: c.RedisURL,
		Reporter: stack.Silent{}, BeforeTriggers: b.prepare,
	})
	done()
	if err != nil {
		return r, err
	}
	return b.result, b.measure(ctx)
}

// load is the machine's load average, of others too; empty where none is told.
func load() string {
	text, _ := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(text))
	return strings.Join(fields[:min(3, len(fields))], " ")
}

// prepare fills the topics when all but the triggers runs.
func (b *bench) prepare(ctx context.Context, p *platform.Platform) (err error) {
	if b.pool, err = pgxpool.New(ctx, p.Addresses.DatabaseURL); err != nil {
		return err
	}
	if b.redis, err = views.Open(ctx, p.Addresses.RedisURL); err != nil {
		return err
	}
	if b.expected, err = fill(ctx, p.Addresses.KafkaBrokers, b.Traffic); err != nil {
		return fmt.Errorf("filling the topics: %w", err)
	}
	const now = `SELECT now(), 'PostgreSQL ' || split_part(current_setting('server_version'), ' ', 1)`
	if err := b.pool.QueryRow(ctx, now).Scan(&b.began, &b.result.Postgres); err != nil {
		return err
	}
	return usages(p, func(process string, seconds float64) { b.before[process] = seconds })
}

func (b *bench) measure(ctx context.Context) error {
	for _, phase := range []struct {
		doing string
		do    func(context.Context) error
		skip  bool
	}{
		{"measuring until all is settled", b.throughput, false},
		{fmt.Sprintf("measuring latency for %s", b.Latency), b.latency, b.Latency == 0},
		{"checking the invariants", b.check, !b.Check},
	} {
		if phase.skip {
			continue
		}
		done := b.Reporter.Begin(phase.doing)
		err := phase.do(ctx)
		done()
		if err != nil {
			return fmt.Errorf("%s: %w", phase.doing, err)
		}
	}
	return nil
}

// throughput waits until all is settled, and notes what it took.
func (b *bench) throughput(ctx context.Context) error {
	if err := invariants.Settle(ctx, b.deps()); err != nil {
		return err
	}
	var first, end time.Time
	if err := b.pool.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&end); err != nil {
		return err
	}
	if err := usages(b.platform, func(process string, seconds float64) {
		b.result.CPU = append(b.result.CPU, Usage{process, seconds - b.before[process]})
	}); err != nil {
		return err
	}
	const decided = `SELECT min(decided_at), count(*) FROM millrace.audit WHERE decided_at >= $1`
	if err := b.pool.QueryRow(ctx, decided, b.began).Scan(&first, &b.result.Decided); err != nil {
		return err
	}
	b.result.Sent, b.result.Seconds = b.expected.Records, end.Sub(first).Seconds()
	if want := b.expected.Decided + b.expected.Emitted; b.result.Decided != want {
		return fmt.Errorf("%d events were decided, want %d: %d that were sent and %d that follow", b.result.Decided, want, b.expected.Decided, b.expected.Emitted)
	}
	return nil
}

func (b *bench) deps() invariants.Deps {
	return invariants.Deps{
		Pool: b.pool, Redis: b.redis, Brokers: b.platform.Addresses.KafkaBrokers,
		Functions: functions.All(), ConsumerGroups: b.platform.Addresses.TopicGroups(),
	}
}

func (b *bench) check(ctx context.Context) error {
	report, err := invariants.Check(ctx, b.deps())
	if err != nil {
		return err
	}
	if !report.Holds() {
		return errors.New(report.String())
	}
	b.Reporter.Note(strings.TrimSpace(report.String()))
	return nil
}

// stop ends all that was begun; what was not is nil.
func (b *bench) stop() error {
	if b.pool != nil {
		b.pool.Close()
	}
	if b.redis != nil {
		_ = b.redis.Close() // it has only read
	}
	if b.platform == nil {
		return nil
	}
	return b.platform.Stop()
}
