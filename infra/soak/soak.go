package soak

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
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

// Config says what to run.
type Config struct {
	// Traffic is what is sent, as fast as it is worked off.
	Traffic traffic.Settings
	// For ends the traffic after so long; 0: only its own settings do.
	For time.Duration
	// Every is how many records lie between two faults, in the mean.
	Every int
	// Patience is how long rest is waited for after the last record.
	Patience time.Duration
	// Root is the checkout that the programs are built from.
	Root string
	// Reporter is told what goes on.
	Reporter stack.Reporter
	// Begin is called when the traffic begins; progress is told how far it is.
	Begin func() (progress func(records int, words string), done func())
}

// What is left behind by a kill is taken up after these times; with those of
// production, faults that follow each other this fast would only add up waits.
var hurry = map[string]string{
	"KAFKA_SESSION_TIMEOUT": "6s", "KAFKA_REBALANCE_TIMEOUT": "8s", "DRAIN_TIMEOUT": "5s",
	"RELAY_OLDER_THAN": "1s", "RELAY_LEASE": "3s",
}

// soak is a running platform, and the ways into it.
type soak struct {
	Config

	platform *platform.Platform
	pool     *pgxpool.Pool
	redis    redis.UniversalClient
	started  time.Time
	faults   *faults // nil before it is started
}

// Run runs a soak. Its error means that it came to no verdict.
func Run(ctx context.Context, c Config) (r Result, err error) {
	data, err := platform.TemporaryData(c.Root, "soak-")
	if err != nil {
		return r, err
	}
	s := &soak{Config: c, started: time.Now()}
	r.Seed = c.Traffic.Seed
	defer func() {
		err = errors.Join(err, s.stop())
		if err == nil && r.Held() {
			err = os.RemoveAll(data)
			return
		}
		r.Logs = filepath.Join(data, "log")
	}()
	if err := s.start(ctx, data); err != nil {
		return r, err
	}
	r.Expected, err = s.send(ctx)
	r.Faults, r.Sending = s.faults.log, time.Since(s.started)
	if err != nil {
		return r, err
	}
	if err := s.settle(ctx); err != nil {
		return r, err
	}
	r.Settled = time.Since(s.started)
	defer c.Reporter.Begin("holding Kafka, PostgreSQL and Redis against each other")()
	return r, s.judge(ctx, &r)
}

func (s *soak) start(ctx context.Context, data string) (err error) {
	if s.platform, err = platform.Start(ctx, platform.Config{
		Folders:  platform.Folders{Root: s.Root, Data: data, Bin: filepath.Join(s.Root, platform.DataFolder, "e2e", "bin")},
		Settings: maps.Clone(hurry), Reporter: s.Reporter,
	}); err != nil {
		return err
	}
	if s.pool, err = pgxpool.New(ctx, s.platform.Addresses.DatabaseURL); err != nil {
		return err
	}
	if s.redis, err = views.Open(ctx, s.platform.Addresses.RedisURL); err != nil {
		return err
	}
	s.started = time.Now()
	s.faults = newFaults(s)
	return nil
}

// settle waits until nothing is on its way any more.
func (s *soak) settle(ctx context.Context) error {
	defer s.Reporter.Begin("waiting until nothing is on its way any more")()
	ctx, cancel := context.WithTimeout(ctx, s.Patience)
	defer cancel()
	s.faults.wait()
	if err := invariants.Settle(ctx, s.deps()); err != nil {
		return err
	}
	return invariants.AwaitViews(ctx, s.deps())
}

func (s *soak) deps() invariants.Deps {
	return invariants.Deps{
		Pool: s.pool, Redis: s.redis, Brokers: s.platform.Addresses.KafkaBrokers,
		Functions: functions.All(), ConsumerGroups: s.platform.Addresses.TopicGroups(),
	}
}

// stop ends all that was begun; what was not is nil.
func (s *soak) stop() error {
	s.faults.wait()
	if s.pool != nil {
		s.pool.Close()
	}
	if s.redis != nil {
		_ = s.redis.Close() // it has only read
	}
	if s.platform == nil {
		return nil
	}
	if err := s.platform.Stop(); err != nil {
		return fmt.Errorf("stopping the platform: %w", err)
	}
	return nil
}
