package stack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/infra/stack/process"
)

// postgresHome is a data directory with the programs that serve it.
type postgresHome struct {
	programs postgresPrograms
	data     string
	user     *process.User
}

func (h postgresHome) url(port int, database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(postgresRole, postgresPassword),
		Host:     "127.0.0.1:" + strconv.Itoa(port),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// errHeld says that what is left of a killed server holds its shared memory. It
// ends when it notices.
var errHeld = errors.New("the processes of a killed server have not ended yet")

// start starts the server, once those of a killed one are gone.
func (h postgresHome) start(ctx context.Context, cfg PostgresConfig, port int) (*Postgres, error) {
	return backoff.Retry(ctx, func() (*Postgres, error) {
		pg, err := h.startOnce(ctx, cfg, port)
		if err != nil && !errors.Is(err, errHeld) {
			err = backoff.Permanent(err)
		}
		return pg, err
	}, backoff.WithBackOff(backoff.NewConstantBackOff(100*time.Millisecond)), backoff.WithMaxElapsedTime(30*time.Second))
}

// startOnce starts the server on the port and waits until it answers.
func (h postgresHome) startOnce(ctx context.Context, cfg PostgresConfig, port int) (*Postgres, error) {
	if err := CheckPorts(PostgresPort(port)); err != nil {
		return nil, err
	}
	log := markLog(cfg.Log)
	server, err := process.Start(process.Spec{
		Path:   h.programs.path("postgres"),
		Args:   append([]string{"-D", h.data, "-p", strconv.Itoa(port)}, settings(cfg)...),
		Env:    postgresEnv(),
		Output: cfg.Log,
		User:   h.user,
		// The signal of a fast shutdown: a clean end though the parent had none.
		DieWith: syscall.SIGINT,
	})
	if err != nil {
		return nil, err
	}
	pg := &Postgres{URL: h.url(port, cfg.Database), Origin: h.programs.origin, server: server}
	if err := h.await(ctx, cfg, pg, h.url(port, "postgres"), log); err != nil {
		return nil, errors.Join(err, pg.Stop())
	}
	return pg, nil
}

// await returns once the server answers and the database exists.
func (h postgresHome) await(ctx context.Context, cfg PostgresConfig, pg *Postgres, admin string, log process.LogMark) error {
	// Replaying the log of a crash can take a while.
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ensureDatabase(ctx, admin, cfg.Database)
		if err == nil {
			return pg.readVersion(ctx)
		}
		select {
		case <-pg.server.Done():
			tail := log.Tail()
			err := pg.server.Err()
			if strings.Contains(tail, "pre-existing shared memory block") {
				err = errHeld
			}
			return fmt.Errorf("PostgreSQL ended at once: %w: %s", err, tail)
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL does not answer: %w", err)
		case <-tick.C:
		}
	}
}

func ensureDatabase(ctx context.Context, admin, database string) error {
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	var exists bool
	err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", database).Scan(&exists)
	if err != nil || exists {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{database}.Sanitize())
	return err
}

// markLog is [process.MarkLog] of a log that may be discarded.
func markLog(log *os.File) process.LogMark {
	if log == nil {
		return process.LogMark{}
	}
	return process.MarkLog(log.Name())
}
