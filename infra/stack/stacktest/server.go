package stacktest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/infra/skiptest"
	"github.com/millrace/millrace/infra/stack"
)

// Server is a PostgreSQL of its own for one test, which stops or breaks it.
type Server struct {
	*stack.Postgres
	// Dir has the data directory, Dir/data.
	Dir string

	cfg stack.PostgresConfig
}

// PostgresServer starts a server of its own, with a migrated database at its URL.
// It writes what a standby needs, and what it was told is safe from its own end,
// though not from that of the machine.
func PostgresServer(t testing.TB, settings ...string) *Server {
	t.Helper()
	return PostgresServerIn(t, "", settings...)
}

// PostgresServerIn is [PostgresServer] with its data in a folder of the caller's.
func PostgresServerIn(t testing.TB, folder string, settings ...string) *Server {
	t.Helper()
	s := newServer(t, folder, settings...)
	var err error
	if s.Postgres, err = startSeeded(t.Context(), s.cfg); err != nil {
		t.Fatalf("starting a PostgreSQL for a test: %v", err)
	}
	s.stopAtEnd(t)
	if err := claimTemplate(t.Context(), s.URL); err != nil {
		t.Fatalf("making a database for a test: %v", err)
	}
	s.use("millrace")
	return s
}

// StandbyOf starts a streaming standby of a server, which knows it as name and is
// reached through feed.
func StandbyOf(t testing.TB, primary *Server, feed, name string) *Server {
	t.Helper()
	if err := stack.CanStandby(t.Context(), primary.cfg.Programs); err != nil {
		skiptest.Missing(t, fmt.Sprintf("these PostgreSQL programs make no standby: %v (Debian: apt-get install postgresql)", err))
	}
	s := newServer(t, "", primary.cfg.Settings...)
	s.cfg.Database = "millrace"
	var err error
	if s.Postgres, err = stack.StartStandby(t.Context(), s.cfg, feed, name); err != nil {
		t.Fatalf("starting a standby for a test: %v", err)
	}
	s.stopAtEnd(t)
	return s
}

func newServer(t testing.TB, folder string, settings ...string) *Server {
	t.Helper()
	dir, err := os.MkdirTemp(mustScratch(t), "postgres-")
	if err != nil {
		t.Fatalf("making a folder for PostgreSQL: %v", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { // another user has to get in
		t.Fatalf("making a folder for PostgreSQL: %v", err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatalf("making a folder for PostgreSQL: %v", err)
	}
	if folder == "" {
		folder = dir
	}
	s := &Server{Dir: filepath.Join(folder, "postgres"), cfg: serverConfig(filepath.Join(folder, "postgres"), log)}
	s.cfg.Settings = append([]string{"wal_level=replica", "max_wal_senders=5", "wal_keep_size=256MB"}, settings...)
	t.Cleanup(func() {
		_ = log.Close()       // nobody writes to it any more
		_ = os.RemoveAll(dir) // the whole folder goes at the end
	})
	return s
}

func (s *Server) stopAtEnd(t testing.TB) {
	t.Helper()
	t.Cleanup(func() {
		if err := s.StopNow(); err != nil {
			t.Logf("stopping a test's PostgreSQL: %v", err)
		}
	})
}

// use makes a database the server's, also after it is started again.
func (s *Server) use(database string) {
	s.cfg.Database, s.cfg.Port = database, s.Port()
	s.URL = withDatabase(s.URL, database)
}

// Start starts a server that has ended, on the port that it had.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	s.cfg.Port = s.Port()
	pg, err := stack.StartPostgres(t.Context(), s.cfg)
	if err != nil {
		t.Fatalf("starting PostgreSQL again: %v", err)
	}
	s.Postgres = pg
}

// Kill ends the server as a failure of its machine would: with all its processes,
// and without a word.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	// Its children notice at once, and end too.
	if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-s.Done()
}

// Synchronous has commits wait for the standby of that name.
func (s *Server) Synchronous(t testing.TB, standby string) {
	t.Helper()
	s.Exec(t, "ALTER SYSTEM SET synchronous_standby_names = '"+standby+"'")
	s.Exec(t, "SELECT pg_reload_conf()")
	// It takes note of that when it gets to it.
	const until = `DO $$ BEGIN
WHILE NOT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync') LOOP
    PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
END LOOP; END $$`
	s.Exec(t, until)
}

// Exec runs a statement on the server.
func (s *Server) Exec(t testing.TB, sql string) {
	t.Helper()
	if err := execute(t.Context(), s.URL, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// claimTemplate makes the template the database of the test: quicker than a copy.
func claimTemplate(ctx context.Context, admin string) error {
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	return rename(ctx, conn, template(), "millrace")
}
