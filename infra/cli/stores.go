package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/millrace/millrace/infra/platform"
	"github.com/millrace/millrace/shared/kafka"
	"github.com/millrace/millrace/shared/postgres"
	"github.com/millrace/millrace/shared/views"
)

// stores are the servers of one platform, which an operator's command reads and
// mends. Each is connected to when it is first asked for; close ends them all.
//
//	s, err := a.stores("DATABASE_URL", "REDIS_URL")
//	if err != nil {
//		return err
//	}
//	defer func() { err = errors.Join(err, s.close()) }()
//	pool, err := s.postgres(ctx)
type stores struct {
	platform.Addresses
	closing []func() error
}

// stores finds the servers of a command that mends: all that the environment
// names if DATABASE_URL is set, else all those of the platform that runs on the
// data folder. Never some of each: what the database of one platform says must
// not reach the Kafka of another.
func (a *app) stores(needs ...string) (*stores, error) {
	at, err := named()
	if err != nil {
		return nil, err
	}
	if at.DatabaseURL == "" {
		if at, err = a.local(); errors.Is(err, errStarting) {
			return nil, err
		} else if err != nil {
			return nil, fmt.Errorf("%w: start it with `millrace up`, or set DATABASE_URL, REDIS_URL and KAFKA_BROKERS to use servers elsewhere", err)
		}
	}
	if name := lacks(at, needs); name != "" {
		return nil, fmt.Errorf("%s is not set: where DATABASE_URL names a platform, it has to be set too", name)
	}
	return &stores{Addresses: at}, nil
}

// postgres opens a pool of a few connections and checks that it answers.
func (s *stores) postgres(ctx context.Context) (*pgxpool.Pool, error) {
	pool, err := postgres.Open(ctx, postgres.Config{
		URL: s.DatabaseURL, MaxConns: 4, ConnectTimeout: 5 * time.Second, IdleTime: time.Minute,
	})
	if err != nil {
		return nil, err
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, errors.New("connecting to PostgreSQL: " + postgres.Redact(err.Error()))
	}
	s.closing = append(s.closing, func() error { pool.Close(); return nil })
	return pool, nil
}

// redis opens a client and checks that it answers.
func (s *stores) redis(ctx context.Context) (redis.UniversalClient, error) {
	client, err := views.Open(ctx, s.RedisURL)
	if err != nil {
		return nil, err
	}
	s.closing = append(s.closing, client.Close)
	return client, nil
}

// producer connects to Kafka; client is what its logs shall say who it was.
func (s *stores) producer(client string) (sarama.SyncProducer, error) {
	producer, err := sarama.NewSyncProducer(s.KafkaBrokers, kafka.CommandConfig(client, s.Kafka))
	if err != nil {
		return nil, fmt.Errorf("connecting to Kafka at %s: %w", strings.Join(s.KafkaBrokers, ","), err)
	}
	s.closing = append(s.closing, producer.Close)
	return producer, nil
}

func (s *stores) close() error {
	errs := make([]error, len(s.closing))
	for n, closeOne := range s.closing {
		errs[n] = closeOne()
	}
	return errors.Join(errs...)
}
