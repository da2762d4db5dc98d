package platform

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/millrace/millrace/infra/maintenance"
	"github.com/millrace/millrace/infra/migrations"
	"github.com/millrace/millrace/infra/stack"
	"github.com/millrace/millrace/infra/stack/process"
	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/shared/kafka"
)

// Config says what to run and on what.
type Config struct {
	Folders Folders
	// KafkaBrokers, DatabaseURL and RedisURL are those of servers that exist
	// already; what is empty is started here.
	KafkaBrokers []string
	// Kafka is how to reach those brokers.
	Kafka       kafka.Security
	DatabaseURL string
	RedisURL    string
	// Ports on 127.0.0.1; 0 takes free ones. KafkaPort is the first of three.
	KafkaPort, PostgresPort, RedisPort, FunctionsPort int
	// PostgresPrograms is as in [stack.PostgresConfig].
	PostgresPrograms string
	// Volatile gives up durability of PostgreSQL and Redis: for tests.
	Volatile bool
	// Functions to run; nil means all that the checkout has.
	Functions []string
	// Settings go into the environment of every function and trigger, the relay
	// and the gateway.
	Settings map[string]string
	// BuildFlags go to `go build`, for example -race.
	BuildFlags []string
	// BeforeTriggers is called when all but the triggers runs, so that a
	// measurement can begin with records that wait. Nil does nothing.
	BeforeTriggers func(ctx context.Context, p *Platform) error
	// Reporter is told what happens.
	Reporter stack.Reporter
}

// AlreadyRunningError says that another process runs on the data folder.
type AlreadyRunningError struct {
	PID  int
	Data string
}

func (e *AlreadyRunningError) Error() string {
	return fmt.Sprintf("the platform already runs here: process %d uses %s; stop it first (Ctrl-C there, or kill %d), or choose another folder with --dir", e.PID, e.Data, e.PID)
}

// Platform is a running platform.
type Platform struct {
	Addresses Addresses
	cfg       Config
	unlock    func()
	kafka     *stack.Kafka
	stores    []*Unit
	logs      []*os.File // of the stores
	units     map[string]*Unit
	ports     portRange
	services  []service
}

// readyWithin is how long a process has to become ready.
const readyWithin = 60 * time.Second

// Start starts everything and returns when every process is ready. On an error
// it stops what it has started.
func Start(ctx context.Context, cfg Config) (_ *Platform, err error) {
	if cfg.Reporter == nil {
		cfg.Reporter = stack.Silent{}
	}
	if err := errors.Join(cfg.checkRanges(), cfg.Folders.make()); err != nil {
		return nil, err
	}
	p := &Platform{cfg: cfg, units: map[string]*Unit{}}
	if p.unlock, err = lock(cfg.Folders); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Stop())
		}
	}()
	for _, step := range []func(context.Context) error{
		p.prepare, p.startStack, p.migrate, p.startServices,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return p, p.Addresses.write(cfg.Folders.Data)
}

const lockFile = "lock"

// lock makes sure that one platform runs on a data folder.
func lock(f Folders) (func(), error) {
	unlock, err := process.TryLock(filepath.Join(f.Data, lockFile))
	if held, ok := errors.AsType[*process.LockedError](err); ok {
		return nil, &AlreadyRunningError{PID: held.PID, Data: f.Data}
	}
	return unlock, err
}

// prepare does all that can go wrong before anything is started: it ends what
// an earlier run left over, checks that all ports are free, and then, as that
// takes longest, builds the programs.
func (p *Platform) prepare(ctx context.Context) (err error) {
	if p.cfg.Functions == nil {
		p.cfg.Functions = FindFunctions(p.cfg.Folders.Root)
	}
	if len(p.cfg.Functions) == 0 {
		return fmt.Errorf("no function found in %s", filepath.Join(p.cfg.Folders.Root, "functions"))
	}
	if p.ports, err = newPortRange(p.cfg.FunctionsPort); err != nil {
		return err
	}
	if err := p.checkPorts(); err != nil {
		return err
	}
	return build(ctx, p.cfg.Folders, p.cfg.Functions, p.cfg.BuildFlags, p.cfg.Reporter)
}

// migrate brings the stores to where this version of the functions needs them.
func (p *Platform) migrate(ctx context.Context) error {
	defer p.cfg.Reporter.Begin("applying migrations, making months and topics")()
	if err := migrations.Up(ctx, p.Addresses.DatabaseURL); err != nil {
		return err
	}
	if err := maintenance.Months(ctx, p.Addresses.DatabaseURL, maintenance.Config{Ahead: 2}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_, err := topics.Ensure(ctx, p.Addresses.KafkaBrokers, p.cfg.Kafka)
	return err
}

// startServices starts the processes, each kind when that before it is ready.
func (p *Platform) startServices(ctx context.Context) error {
	p.services = services(p.cfg.Folders, p.Addresses, p.cfg.Functions, p.ports)
	for _, s := range p.services {
		maps.Copy(s.env, p.cfg.Settings)
	}
	for _, kind := range []string{KindFunction, KindRelay, KindTrigger, KindGateway} {
		if kind == KindTrigger && p.cfg.BeforeTriggers != nil {
			if err := p.cfg.BeforeTriggers(ctx, p); err != nil {
				return err
			}
		}
		if err := p.startKind(ctx, kind); err != nil {
			return err
		}
	}
	return nil
}

func (p *Platform) startKind(ctx context.Context, kind string) error {
	defer p.cfg.Reporter.Begin("starting " + plural[kind])()
	var waiting []func() error
	for _, s := range p.services {
		if s.Kind != kind {
			continue
		}
		log := process.MarkLog(s.Log)
		unit, err := startUnit(ctx, s.Name, p.cfg.Reporter.Note, defaultPause, func(ctx context.Context) (Running, error) {
			return p.startService(ctx, s)
		})
		if err != nil {
			return fmt.Errorf("starting %s: %w", s.Name, err)
		}
		p.units[s.Name] = unit
		p.Addresses.Processes = append(p.Addresses.Processes, s.ProcessAddress)
		waiting = append(waiting, func() error { return s.awaitReady(ctx, unit, log, readyWithin) })
	}
	for _, ready := range waiting {
		if err := ready(); err != nil {
			return err
		}
	}
	return nil
}

func (p *Platform) startService(ctx context.Context, s service) (Running, error) {
	if s.Kind == KindTrigger {
		// Whoever was in its group was its predecessor.
		if err := p.kafka.Forget(ctx, ConsumerGroup(s.Function)); err != nil {
			return nil, err
		}
	}
	return s.start(p.cfg.Folders)
}

var plural = map[string]string{KindFunction: "functions", KindRelay: "the relay", KindTrigger: "triggers", KindGateway: "the gateway"}

// Unit is the process of a service by its name, for tests that kill it; nil if
// there is none.
func (p *Platform) Unit(name string) *Unit { return p.units[name] }

// Kafka is what the platform stands on.
func (p *Platform) Kafka() *stack.Kafka { return p.kafka }

// Stop drains and stops everything in the order in which nothing is handed to
// what is gone already: the gateway, triggers, functions, the relay, then the stores. What
// is not drained in time is killed, and comes again from Kafka.
func (p *Platform) Stop() error {
	var errs []error
	for _, kind := range []string{KindGateway, KindTrigger, KindFunction, KindRelay} {
		errs = append(errs, p.stopKind(kind))
	}
	errs = append(errs, p.stopStack(), forget(p.cfg.Folders.Data))
	p.unlock()
	return errors.Join(errs...)
}

func (p *Platform) stopKind(kind string) error {
	var units []*Unit
	for _, s := range p.services {
		if u := p.units[s.Name]; u != nil && s.Kind == kind {
			units = append(units, u)
		}
	}
	if len(units) == 0 {
		return nil
	}
	defer p.cfg.Reporter.Begin("draining " + plural[kind])()
	return stopTogether(units)
}
