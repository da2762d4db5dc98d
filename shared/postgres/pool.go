package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Config is how a process connects.
type Config struct {
	// Required: where the database is: postgres://..., or libpq's words.
	URL string `env:"DATABASE_URL"`
	// MaxConns bounds the connections of this process: instances times this
	// stays below the server's max_connections.
	MaxConns int32 `env:"DATABASE_MAX_CONNS" envDefault:"20"`
	// ConnectTimeout bounds one attempt to connect.
	ConnectTimeout time.Duration `env:"DATABASE_CONNECT_TIMEOUT" envDefault:"30s"`
	// IdleTime is after what time an unused connection is closed.
	IdleTime time.Duration `env:"DATABASE_IDLE_TIME" envDefault:"10m"`
}

// Validate names what is wrong.
func (c *Config) Validate() error {
	if c.URL == "" {
		return errors.New("DATABASE_URL is required: postgres://user:password@host:5432/database")
	}
	if _, err := pgxpool.ParseConfig(c.URL); err != nil {
		return errors.New("DATABASE_URL: " + Redact(err.Error()))
	}
	if c.MaxConns < 1 {
		return fmt.Errorf("DATABASE_MAX_CONNS is %d, want at least 1", c.MaxConns)
	}
	return nil
}

// Open makes a pool. It does not connect: a function may start before its
// database, and its readiness endpoint says so meanwhile.
func Open(ctx context.Context, c Config) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, errors.New("DATABASE_URL: " + Redact(err.Error()))
	}
	cfg.MaxConns = c.MaxConns
	cfg.MaxConnIdleTime = c.IdleTime
	cfg.ConnConfig.ConnectTimeout = c.ConnectTimeout
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("making the connection pool: %s", Redact(err.Error()))
	}
	return pool, nil
}

// Check says whether the database answers.
func Check(ctx context.Context, pool *pgxpool.Pool) error {
	if pool.Ping(ctx) != nil {
		return errors.New("the database does not answer")
	}
	return nil
}
