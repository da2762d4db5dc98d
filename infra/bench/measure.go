package main

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

	"github.com/millrace/millrace/functions"
	"github.com/millrace/millrace/infra/invariants"
	"github.com/millrace/millrace/infra/platform"
	"github.com/millrace/millrace/infra/stack"
	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/shared/views"
)

// measure is one run, from an empty platform.
func measure(ctx context.Context, o options) (r result, err error) {
	root, err := platform.FindRoot(".")
	if err != nil {
		return r, err
	}
	folders := platform.Folders{Root: root, Data: filepath.Join(root, platform.DataFolder, "bench")}
	if err := os.RemoveAll(folders.Data); err != nil {
		return r, err
	}
	folders.Bin = filepath.Join(root, platform.DataFolder, "e2e", "bin") // those of the end-to-end tests
	load, _ := os.ReadFile("/proc/loadavg")                              // not on every system
	r = result{Trades: o.trades, CPUs: runtime.NumCPU(), Load: strings.Join(strings.Fields(string(load))[:min(3, len(strings.Fields(string(load))))], " ")}

	before := map[string]float64{}
	p, err := platform.Start(ctx, platform.Config{
		Folders: folders, Reporter: stack.Silent{},
		BeforeTriggers: func(ctx context.Context, p *platform.Platform) error {
			if err := fill(ctx, p.Addresses.KafkaBrokers, o); err != nil {
				return err
			}
			return usages(p, func(process string, seconds float64) { before[process] = seconds })
		},
	})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, p.Stop(), os.RemoveAll(folders.Data)) }()
	return r, r.follow(ctx, o, p, before)
}

// follow waits for the end, and notes what it took.
func (r *result) follow(ctx context.Context, o options, p *platform.Platform, before map[string]float64) error {
	pool, err := pgxpool.New(ctx, p.Addresses.DatabaseURL)
	if err != nil {
		return err
	}
	defer pool.Close()
	deps := invariants.Deps{Pool: pool, Brokers: p.Addresses.KafkaBrokers, Functions: functions.All(), ConsumerGroups: map[string]string{}}
	for function, group := range p.Addresses.Groups {
		deps.ConsumerGroups[topics.Events(function)] = group
	}
	if err := invariants.Settle(ctx, deps); err != nil {
		return err
	}
	end := time.Now()
	if err := usages(p, func(process string, seconds float64) {
		r.CPU = append(r.CPU, usage{process, seconds - before[process]})
	}); err != nil {
		return err
	}
	var first time.Time
	const query = `
SELECT min(decided_at), count(*) FILTER (WHERE outcome = 'applied'), split_part(current_setting('server_version'), ' ', 1)
FROM millrace.audit`
	if err := pool.QueryRow(ctx, query).Scan(&first, &r.Events, &r.Postgres); err != nil {
		return err
	}
	r.Postgres = "PostgreSQL " + r.Postgres
	r.Seconds = end.Sub(first).Seconds()
	if want := 3 * o.trades; r.Events != want {
		return fmt.Errorf("%d events were applied, want %d: a trade, a fill and an entry each", r.Events, want)
	}
	return verify(ctx, o, p, deps)
}

func verify(ctx context.Context, o options, p *platform.Platform, deps invariants.Deps) error {
	if !o.check {
		return nil
	}
	client, err := views.Open(ctx, p.Addresses.RedisURL)
	if err != nil {
		return err
	}
	defer client.Close() //nolint:errcheck // it has only read
	deps.Redis = client
	report, err := invariants.Check(ctx, deps)
	if err == nil && !report.Holds() {
		err = errors.New(report.String())
	}
	return err
}

// usages tells the CPU time that every process has used so far.
func usages(p *platform.Platform, tell func(process string, seconds float64)) error {
	note := func(process string, pid int) error {
		seconds, err := cpuOf(pid)
		if err == nil {
			tell(process, seconds)
		}
		return err
	}
	for _, kind := range []string{platform.KindTrigger, platform.KindFunction, platform.KindRelay} {
		for _, at := range p.Addresses.Processes {
			if at.Kind != kind {
				continue
			}
			if err := note(at.Name, p.Unit(at.Name).PID()); err != nil {
				return err
			}
		}
	}
	for _, name := range []string{"PostgreSQL", "Redis"} {
		if u := p.Store(name); u != nil {
			if err := note(name, u.PID()); err != nil {
				return err
			}
		}
	}
	seconds, err := cpuOfSelf()
	if err == nil {
		tell("Kafka (kfake) and measuring", seconds)
	}
	return err
}
