package node

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/millrace/millrace/infra/cluster/place"
	"github.com/millrace/millrace/infra/stack"
	"github.com/millrace/millrace/infra/stack/kafkacluster"
)

// stores are what Millrace stands on. They run on the node, as no image of them
// can be had; pods reach them at its address.
type stores struct {
	postgres *stack.Postgres
	redis    *stack.Redis
	kafka    *kafkacluster.Cluster
}

func (s *stores) start(ctx context.Context, p place.Place, report stack.Reporter) error {
	defer report.Begin("starting PostgreSQL, Redis and three brokers of Kafka")()
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return s.startPostgres(ctx, p, report) })
	all.Go(func() error { return s.startRedis(ctx, p, report) })
	all.Go(func() error { return s.startKafka(ctx, p) })
	return all.Wait()
}

func (s *stores) startPostgres(ctx context.Context, p place.Place, report stack.Reporter) error {
	log, err := openLog(p, "postgres")
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the server has its own handle
	s.postgres, err = stack.StartPostgres(ctx, stack.PostgresConfig{
		Dir: p.State("postgres"), Port: place.PostgresPort, Log: log, Reporter: report,
		Settings: []string{"listen_addresses=127.0.0.1," + place.Node, "hba_file=" + p.State("pg_hba.conf")},
	})
	return err
}

func (s *stores) startRedis(ctx context.Context, p place.Place, report stack.Reporter) error {
	log, err := openLog(p, "redis")
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the server has its own handle
	s.redis, err = stack.StartRedis(ctx, stack.RedisConfig{
		Dir: p.State("redis"), Port: place.RedisPort, Log: log, Reporter: report,
		Args: []string{"--bind", "127.0.0.1", place.Node, "--protected-mode", "no"},
	})
	return err
}

func (s *stores) startKafka(ctx context.Context, p place.Place) error {
	programs, err := kafkacluster.Find(ctx)
	if err != nil {
		return err
	}
	s.kafka, err = kafkacluster.StartAt(ctx, programs, p.State("kafka"), KafkaBrokers())
	return err
}

// KafkaBrokers are the addresses of the brokers.
func KafkaBrokers() []string {
	all := make([]string, 3)
	for i := range all {
		all[i] = net.JoinHostPort(place.Node, strconv.Itoa(place.KafkaPort+i))
	}
	return all
}

// stop ends what was started. Their data is thrown away.
func (s *stores) stop() {
	if s.kafka != nil {
		s.kafka.Kill()
	}
	_ = errors.Join(s.redis.Stop(), s.postgres.StopNow())
}

func openLog(p place.Place, name string) (*os.File, error) {
	file := p.Log(name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, err
	}
	return os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
}

// DatabaseURL is where PostgreSQL is.
func DatabaseURL() string {
	return "postgres://millrace:millrace@" + net.JoinHostPort(place.Node, strconv.Itoa(place.PostgresPort)) + "/millrace"
}
