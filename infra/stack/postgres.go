package stack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/infra/stack/process"
)

// MinPostgres is the oldest major version that Millrace's SQL runs on.
const MinPostgres = 13

// PostgresConfig says where PostgreSQL comes from.
type PostgresConfig struct {
	// URL is that of a server that exists already; with it nothing is started.
	URL string
	// Dir holds the data directory (Dir/data), made at the first start.
	Dir string
	// Seed is a Dir of a stopped server that new data is copied from, which is
	// quicker than making it.
	Seed string
	// Port on 127.0.0.1; 0 takes a free one.
	Port int
	// Database is made if it does not exist. Default "millrace".
	Database string
	// Programs is the folder of the server programs to use, or "embedded" for
	// those that are downloaded. Empty: local ones if found, else downloaded.
	Programs string
	// Volatile gives up durability for speed: for tests only.
	Volatile bool
	// Log takes what the server says; nil discards it.
	Log *os.File
	// Reporter is told of downloads and of taking over a crashed run's data.
	Reporter Reporter
}

// Postgres is a server that can be talked to at URL.
type Postgres struct {
	URL string
	// Origin says in a few words where it comes from.
	Origin string
	// Version is the server's server_version_num, 150004 for 15.4.
	Version int
	server  *process.Process
}

// StartPostgres starts a server, or checks the one that it is given, and
// returns when it answers queries.
func StartPostgres(ctx context.Context, cfg PostgresConfig) (*Postgres, error) {
	cfg.Reporter = reporter(cfg.Reporter)
	if cfg.Database == "" {
		cfg.Database = "millrace"
	}
	if cfg.URL != "" {
		return connectPostgres(ctx, cfg.URL)
	}
	home, err := preparePostgres(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Port != 0 {
		return home.start(ctx, cfg, cfg.Port)
	}
	// A free port can be taken by somebody else before the server has it.
	for range 5 {
		var port int
		if port, err = FreePort(); err != nil {
			return nil, err
		}
		var pg *Postgres
		if pg, err = home.start(ctx, cfg, port); err == nil {
			return pg, nil
		}
	}
	return nil, err
}

// connectPostgres checks a server that somebody else runs.
func connectPostgres(ctx context.Context, dsn string) (*Postgres, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	pg := &Postgres{URL: dsn, Origin: "from DATABASE_URL"}
	if err := pg.readVersion(ctx); err != nil {
		return nil, fmt.Errorf("PostgreSQL from DATABASE_URL: %w", err)
	}
	return pg, nil
}

// readVersion asks the server for its version and refuses one that is too old.
func (pg *Postgres) readVersion(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, pg.URL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	var text string
	if err := conn.QueryRow(ctx, "SHOW server_version_num").Scan(&text); err != nil {
		return err
	}
	if pg.Version, err = strconv.Atoi(text); err != nil {
		return fmt.Errorf("server_version_num %q: %w", text, err)
	}
	if pg.Version < MinPostgres*10000 {
		return fmt.Errorf("the server is version %d, Millrace needs %d or newer", pg.Version/10000, MinPostgres)
	}
	return nil
}

// PID is the server's process id, 0 if it was not started here.
func (pg *Postgres) PID() int {
	if pg.server == nil {
		return 0
	}
	return pg.server.PID()
}

// Port is where the server listens, 0 if its URL does not say.
func (pg *Postgres) Port() int { return portOf(pg.URL) }

// PublicURL is the URL for people to see: as it is for a server started here,
// whose password is no secret, else without the password.
func (pg *Postgres) PublicURL() string {
	if pg.server != nil {
		return pg.URL
	}
	return publicURL(pg.URL)
}

// Done is closed when the server that was started here ends; nil otherwise.
func (pg *Postgres) Done() <-chan struct{} {
	if pg.server == nil {
		return nil
	}
	return pg.server.Done()
}

// Err says how the server that was started here ended. Only after Done.
func (pg *Postgres) Err() error {
	if pg.server == nil {
		return nil
	}
	return pg.server.Err()
}

// Stop ends the server that StartPostgres started: a fast shutdown, which
// breaks connections off and writes a checkpoint; if that takes over 20 s an
// immediate one, after which the next start replays the log.
func (pg *Postgres) Stop() error {
	if pg == nil || pg.server == nil || !pg.server.Alive() {
		return nil
	}
	err := pg.server.Signal(syscall.SIGINT)
	select {
	case <-pg.server.Done():
		return err
	case <-time.After(20 * time.Second):
		return errors.Join(err, pg.server.Stop(syscall.SIGQUIT, 5*time.Second))
	}
}

// StopNow ends the server without a checkpoint, for tests.
func (pg *Postgres) StopNow() error {
	if pg == nil || pg.server == nil {
		return nil
	}
	return pg.server.Stop(syscall.SIGQUIT, 5*time.Second)
}

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

// start starts the server on the port and waits until it answers.
func (h postgresHome) start(ctx context.Context, cfg PostgresConfig, port int) (*Postgres, error) {
	if err := CheckPort("PostgreSQL", port, "--postgres-port"); err != nil {
		return nil, err
	}
	server, err := process.Start(process.Spec{
		Path:   h.programs.path("postgres"),
		Args:   append([]string{"-D", h.data, "-p", strconv.Itoa(port)}, settings(cfg.Volatile)...),
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
	if err := h.await(ctx, cfg, pg, h.url(port, "postgres")); err != nil {
		return nil, errors.Join(err, pg.Stop())
	}
	return pg, nil
}

// await returns once the server answers and the database exists.
func (h postgresHome) await(ctx context.Context, cfg PostgresConfig, pg *Postgres, admin string) error {
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
			return fmt.Errorf("PostgreSQL ended at once: %w; it said: %s", pg.server.Err(), tail(cfg.Log))
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

// tail is the end of what a server logged, for an error message.
func tail(log *os.File) string {
	if log == nil {
		return "nothing was kept"
	}
	text, err := os.ReadFile(log.Name())
	if err != nil {
		return err.Error()
	}
	const enough = 1200
	return filepath.Base(log.Name()) + ": " + string(text[max(0, len(text)-enough):])
}
