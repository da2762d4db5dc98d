package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
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
	// Settings are more settings of the server, name=value; they win.
	Settings []string
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
