package stacktest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/millrace/millrace/infra/migrations"
	"github.com/millrace/millrace/infra/stack"
)

// Postgres returns the URL of a new database with all migrations applied. It
// is dropped when the test ends.
func Postgres(t testing.TB) string {
	t.Helper()
	return database(t, "TEMPLATE "+pgx.Identifier{template()}.Sanitize())
}

// EmptyPostgres returns the URL of a new database without any table, for tests
// of migrations.
func EmptyPostgres(t testing.TB) string {
	t.Helper()
	return database(t, "TEMPLATE template0")
}

var databases atomic.Int64

func database(t testing.TB, options string) string {
	t.Helper()
	admin, err := server()
	if err != nil {
		t.Fatalf("starting PostgreSQL for tests: %v", err)
	}
	name := fmt.Sprintf("millrace_test_%d_%d_%d", os.Getpid(), time.Now().UnixNano(), databases.Add(1))
	if err := create(admin, name, options); err != nil {
		t.Fatalf("making a database for a test: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := execute(ctx, admin, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)"); err != nil {
			t.Logf("dropping a test's database: %v", err)
		}
	})
	return withDatabase(admin, name)
}

// create makes a database. Its template must have no sessions, and the last
// one of those that made it may not be gone yet.
func create(admin, name, options string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := execute(ctx, admin, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()+" "+options)
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != "55006" {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// server is the URL of the server that this test process uses, with the
// template made.
var server = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	admin := os.Getenv("MILLRACE_TEST_DATABASE_URL")
	if admin == "" {
		var err error
		if admin, err = startServer(ctx); err != nil {
			return "", err
		}
	}
	return admin, makeTemplate(ctx, admin)
})

func startServer(ctx context.Context) (string, error) {
	dir, err := scratch()
	if err != nil {
		return "", err
	}
	log, err := os.Create(filepath.Join(dir, "postgres.log"))
	if err != nil {
		return "", err
	}
	cfg := serverConfig(filepath.Join(dir, "postgres"), log)
	pg, err := startSeeded(ctx, cfg)
	if err != nil {
		return "", err
	}
	atExit(pg.StopNow)
	return pg.URL, nil
}

func serverConfig(dir string, log *os.File) stack.PostgresConfig {
	return stack.PostgresConfig{
		Dir: dir, Database: "postgres", Volatile: true, Log: log,
		Programs: os.Getenv("MILLRACE_POSTGRES"),
		Reporter: stderr{},
	}
}

func template() string { return "millrace_template_" + migrations.Fingerprint() }

// makeTemplate makes the migrated database that tests get clones of, unless
// another process has made it on this server before. It gets its name when it
// is whole.
func makeTemplate(ctx context.Context, admin string) error {
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	const oneAtATime = 7_206_117 // any number that only this takes
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", oneAtATime); err != nil {
		return err
	}
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", template()).Scan(&exists); err != nil || exists {
		return err
	}
	unfinished := template() + "_unfinished"
	if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{unfinished}.Sanitize()+" WITH (FORCE)"); err != nil {
		return err
	}
	if err := create(admin, unfinished, "TEMPLATE template0"); err != nil {
		return err
	}
	if err := migrations.Up(ctx, withDatabase(admin, unfinished)); err != nil {
		return err
	}
	return rename(ctx, conn, unfinished, template())
}

func rename(ctx context.Context, conn *pgx.Conn, from, to string) error {
	// Sessions of the migration may still be ending.
	_, err := conn.Exec(ctx, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1", from)
	var unknown *pgconn.PgError
	if errors.As(err, &unknown) && unknown.Code == "42883" { // before version 14 it does not wait
		_, err = conn.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", from)
	}
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "ALTER DATABASE "+pgx.Identifier{from}.Sanitize()+" RENAME TO "+pgx.Identifier{to}.Sanitize())
	return err
}

func execute(ctx context.Context, dsn, sql string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, sql)
	return err
}

func withDatabase(dsn, name string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		panic(err) // it was connected to before
	}
	u.Path = "/" + name
	return u.String()
}

// stderr shows what takes long, as a download does: go test prints it when
// the package fails or with -v.
type stderr struct{}

func (stderr) Begin(what string) func() {
	fmt.Fprintln(os.Stderr, "stacktest:", what)
	return func() {}
}

func (stderr) Note(line string) { fmt.Fprintln(os.Stderr, "stacktest:", line) }
