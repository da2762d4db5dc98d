package platform

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/millrace/millrace/infra/stack"
)

// startStack starts Kafka, PostgreSQL and Redis, or finds those it is given,
// and enters where they are into p.Addresses.
func (p *Platform) startStack(ctx context.Context) error {
	p.Addresses = Addresses{PID: os.Getpid(), Groups: map[string]string{}}
	for _, f := range p.cfg.Functions {
		p.Addresses.Groups[f] = ConsumerGroup(f)
	}
	for _, start := range []func(context.Context) error{p.startKafka, p.startPostgres, p.startRedis} {
		if err := start(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (p *Platform) startKafka(context.Context) (err error) {
	defer p.cfg.Reporter.Begin("starting Kafka")()
	p.kafka, err = stack.StartKafka(stack.KafkaConfig{
		Brokers: p.cfg.KafkaBrokers, Ports: p.kafkaPorts(), Dir: p.cfg.Folders.part("kafka"),
	})
	if err != nil {
		return err
	}
	p.Addresses.KafkaBrokers = p.kafka.Brokers
	p.cfg.Reporter.Note(fmt.Sprintf("Kafka       %s (%s)", strings.Join(p.kafka.Brokers, ","), p.kafka.Origin))
	return nil
}

func (p *Platform) startPostgres(ctx context.Context) error {
	defer p.cfg.Reporter.Begin("starting PostgreSQL")()
	log, err := p.storeLog("postgres")
	if err != nil {
		return err
	}
	port := p.cfg.PostgresPort
	start := func(ctx context.Context) (*stack.Postgres, error) {
		return stack.StartPostgres(ctx, stack.PostgresConfig{
			URL: p.cfg.DatabaseURL, Dir: p.cfg.Folders.part("postgres"), Port: port,
			Programs: p.cfg.PostgresPrograms, Volatile: p.cfg.Volatile, Log: log, Reporter: p.cfg.Reporter,
		})
	}
	pg, err := start(ctx)
	if err != nil {
		return err
	}
	// A restart has to come back where the first start was.
	port = pg.Port()
	p.Addresses.DatabaseURL = pg.URL
	p.cfg.Reporter.Note(fmt.Sprintf("PostgreSQL  %s (%s)", pg.PublicURL(), pg.Origin))
	if pg.PID() == 0 {
		return nil
	}
	return p.watch(ctx, "PostgreSQL", pg, func(ctx context.Context) (Running, error) { return start(ctx) })
}

func (p *Platform) startRedis(ctx context.Context) error {
	defer p.cfg.Reporter.Begin("starting Redis")()
	log, err := p.storeLog("redis")
	if err != nil {
		return err
	}
	port := p.cfg.RedisPort
	start := func(ctx context.Context) (*stack.Redis, error) {
		return stack.StartRedis(ctx, stack.RedisConfig{
			URL: p.cfg.RedisURL, Dir: p.cfg.Folders.part("redis"), Port: port,
			Volatile: p.cfg.Volatile, Log: log, Reporter: p.cfg.Reporter,
		})
	}
	r, err := start(ctx)
	if err != nil {
		return err
	}
	port = r.Port()
	p.Addresses.RedisURL = r.URL
	p.cfg.Reporter.Note(fmt.Sprintf("Redis       %s (%s)", r.PublicURL(), r.Origin))
	if !r.Started() {
		return nil
	}
	return p.watch(ctx, "Redis", r, func(ctx context.Context) (Running, error) { return start(ctx) })
}

// storeLog opens a store's log, which stays open for restarts.
func (p *Platform) storeLog(name string) (*os.File, error) {
	log, err := p.cfg.Folders.openLog(name)
	if err == nil {
		p.logs = append(p.logs, log)
	}
	return log, err
}

// watch keeps a store running that was started already.
func (p *Platform) watch(ctx context.Context, name string, first Running, again func(context.Context) (Running, error)) error {
	taken := false
	unit, err := startUnit(ctx, name, p.cfg.Reporter.Note, defaultPause, func(ctx context.Context) (Running, error) {
		if !taken {
			taken = true
			return first, nil
		}
		return again(ctx)
	})
	if err != nil {
		return err
	}
	p.stores = append(p.stores, unit)
	return nil
}

// Store is PostgreSQL or Redis by name, if it was started here, for tests
// that kill it.
func (p *Platform) Store(name string) *Unit {
	for _, u := range p.stores {
		if u.Name == name {
			return u
		}
	}
	return nil
}

func (p *Platform) stopStack() error {
	if len(p.stores) > 0 || p.kafka != nil {
		defer p.cfg.Reporter.Begin("stopping PostgreSQL, Redis and Kafka")()
	}
	err := stopTogether(p.stores)
	p.kafka.Stop()
	for _, log := range p.logs {
		_ = log.Close() // nothing writes to it any more
	}
	return err
}
