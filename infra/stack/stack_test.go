package stack_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/infra/skiptest"
	"github.com/millrace/millrace/infra/stack"
	"github.com/millrace/millrace/infra/stack/process"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/views"
)

// folder is a folder that the user whom PostgreSQL runs as can reach too.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "millrace-stack-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func startPostgres(t *testing.T, cfg stack.PostgresConfig) *stack.Postgres {
	t.Helper()
	pg, err := tryPostgres(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return pg
}

func tryPostgres(t *testing.T, cfg stack.PostgresConfig) (*stack.Postgres, error) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(filepath.Dir(cfg.Dir), "postgres.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	cfg.Log, cfg.Programs = log, os.Getenv("MILLRACE_POSTGRES")
	pg, err := stack.StartPostgres(t.Context(), cfg)
	if err == nil {
		t.Cleanup(func() { _ = pg.StopNow() })
	}
	return pg, err
}

func query(t *testing.T, dsn, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var got string
	if err := conn.QueryRow(t.Context(), sql).Scan(&got); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		t.Fatal(err)
	}
	return got
}

func TestPostgresKeepsDataOverStopAndKill(t *testing.T) {
	t.Parallel()
	cfg := stack.PostgresConfig{Dir: filepath.Join(folder(t), "postgres")}

	pg := startPostgres(t, cfg)
	query(t, pg.URL, "CREATE TABLE kept (n int)")
	query(t, pg.URL, "INSERT INTO kept VALUES (1) RETURNING n::text")
	if err := pg.Stop(); err != nil {
		t.Fatal(err)
	}

	pg = startPostgres(t, cfg)
	query(t, pg.URL, "INSERT INTO kept VALUES (2) RETURNING n::text")
	// As a kill -9 of everything would: no checkpoint, a lock file left behind.
	if err := syscall.Kill(pg.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-pg.Done()

	pg = startPostgres(t, cfg)
	if got := query(t, pg.URL, "SELECT string_agg(n::text, ' ' ORDER BY n) FROM kept"); got != "1 2" {
		t.Errorf("after a restart and a kill: %q", got)
	}
}

// What is left of a killed server may take its time to notice; a start waits for it.
func TestPostgresWaitsForTheRestOfAKilledOne(t *testing.T) {
	t.Parallel()
	cfg := stack.PostgresConfig{Dir: filepath.Join(folder(t), "postgres"), Volatile: true}
	pg := startPostgres(t, cfg)
	slow, err := strconv.Atoi(query(t, pg.URL, "SELECT pid::text FROM pg_stat_activity WHERE backend_type = 'background writer'"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(syscall.Kill(slow, syscall.SIGSTOP), syscall.Kill(pg.PID(), syscall.SIGKILL)); err != nil {
		t.Fatal(err)
	}
	<-pg.Done()
	started := make(chan error, 1)
	go func() {
		_, err := tryPostgres(t, cfg)
		started <- err
	}()
	stacktest.Eventually(t, time.Minute, "a start to be refused", func(context.Context) bool {
		text, err := os.ReadFile(filepath.Join(filepath.Dir(cfg.Dir), "postgres.log"))
		return err == nil && bytes.Contains(text, []byte("pre-existing shared memory block"))
	})
	if err := syscall.Kill(slow, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := <-started; err != nil {
		t.Error(err)
	}
}

func TestPostgresIsDurableUnlessToldOtherwise(t *testing.T) {
	t.Parallel()
	const settings = "SELECT concat_ws(' ', current_setting('fsync'), current_setting('listen_addresses'), current_setting('unix_socket_directories'), current_database(), current_setting('synchronous_commit'))"
	pg := startPostgres(t, stack.PostgresConfig{Dir: filepath.Join(folder(t), "postgres")})
	if got := query(t, pg.URL, settings); got != "on 127.0.0.1  millrace on" {
		t.Errorf("%q", got)
	}
	if pg.Version < 130000 || !strings.Contains(pg.Origin, "PostgreSQL") {
		t.Errorf("version %d, origin %q", pg.Version, pg.Origin)
	}
}

func TestPostgresTakesOverFromARunningServer(t *testing.T) {
	t.Parallel()
	cfg := stack.PostgresConfig{Dir: filepath.Join(folder(t), "postgres"), Volatile: true}
	first := startPostgres(t, cfg)
	second := startPostgres(t, cfg)
	<-first.Done()
	if got := query(t, second.URL, "SELECT 'alive'"); got != "alive" {
		t.Error(got)
	}
}

func TestPostgresIgnoresALockOfSomebodyElsesPid(t *testing.T) {
	t.Parallel()
	cfg := stack.PostgresConfig{Dir: filepath.Join(folder(t), "postgres"), Volatile: true}
	pg := startPostgres(t, cfg)
	lock := filepath.Join(cfg.Dir, "data", "postmaster.pid")
	text, err := os.ReadFile(lock)
	if err != nil {
		t.Fatal(err)
	}
	if err := pg.Stop(); err != nil {
		t.Fatal(err)
	}
	// The pid of a crashed server may be anybody's after a reboot.
	other, err := process.Start(process.Spec{Path: "/bin/sleep", Args: []string{"600"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Kill)
	_, rest, _ := strings.Cut(string(text), "\n")
	if err := os.WriteFile(lock, []byte(strconv.Itoa(other.PID())+"\n"+rest), 0o600); err != nil {
		t.Fatal(err)
	}
	startPostgres(t, cfg)
	if !other.Alive() {
		t.Error("a process that had the pid was stopped")
	}
}

func TestPortInUseIsSaid(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	_, text, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	dir := folder(t)
	for part, start := range map[string]func() error{
		"PostgreSQL": func() error {
			_, err := stack.StartPostgres(t.Context(), stack.PostgresConfig{Dir: filepath.Join(dir, "postgres"), Port: port, Volatile: true})
			return err
		},
		"Redis": func() error {
			_, err := stack.StartRedis(t.Context(), stack.RedisConfig{Dir: filepath.Join(dir, "redis"), Port: port})
			return err
		},
		"Kafka": func() error {
			_, err := stack.StartKafka(stack.KafkaConfig{Ports: []int{port}})
			return err
		},
	} {
		var inUse *stack.PortInUseError
		if err := start(); !errors.As(err, &inUse) || inUse.Part != part || !strings.Contains(err.Error(), strconv.Itoa(port)) {
			t.Errorf("%s: error %v", part, err)
		}
	}
}

func TestGivenServersAreCheckedNotStarted(t *testing.T) {
	t.Parallel()
	const nobody = "127.0.0.1:1"
	_, err := stack.StartPostgres(t.Context(), stack.PostgresConfig{URL: "postgres://me:secret@" + nobody + "/x?sslmode=disable"})
	if err == nil || !strings.Contains(err.Error(), "DATABASE_URL") || strings.Contains(err.Error(), "secret") {
		t.Errorf("PostgreSQL: error %v", err)
	}
	_, err = stack.StartRedis(t.Context(), stack.RedisConfig{URL: "redis://:secret@" + nobody})
	if err == nil || !strings.Contains(err.Error(), "REDIS_URL") || strings.Contains(err.Error(), "secret") {
		t.Errorf("Redis: error %v", err)
	}
}

func TestRedisKeepsDataOverARestart(t *testing.T) {
	t.Parallel()
	cfg := stack.RedisConfig{Dir: filepath.Join(folder(t), "redis")}
	for i, want := range []string{"", "kept"} {
		server, err := stack.StartRedis(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if server.Mini() != nil { // where `task tools` may not install redis-server
			skiptest.Missing(t, "redis-server is not installed (Debian: apt-get install redis-server), and miniredis keeps nothing")
		}
		client, err := views.Open(t.Context(), server.URL)
		if err != nil {
			t.Fatal(err)
		}
		if got := client.Get(t.Context(), "k").Val(); got != want {
			t.Errorf("start %d: %q", i, got)
		}
		if err := errors.Join(client.Set(t.Context(), "k", "kept", 0).Err(), client.Close(), server.Stop()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMiniRedisStandsIn(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	notes := &noting{}
	server, err := stack.StartRedis(t.Context(), stack.RedisConfig{Reporter: notes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	if server.Mini() == nil || !strings.Contains(strings.Join(notes.lines, " "), "miniredis") {
		t.Errorf("origin %q, notes %q", server.Origin, notes.lines)
	}
}

type noting struct {
	stack.Silent
	lines []string
}

func (n *noting) Note(line string) { n.lines = append(n.lines, line) }

func TestKafkaKeepsRecordsOverAStop(t *testing.T) {
	t.Parallel()
	cfg := stack.KafkaConfig{Ports: []int{0, 0, 0}, Dir: filepath.Join(folder(t), "kafka")}
	for want := range int64(3) {
		kafka, err := stack.StartKafka(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if want == 0 {
			if err := kafka.Cluster().CreateTopic("kept", 1, nil); err != nil {
				t.Fatal(err)
			}
		}
		if got := produce(t, kafka.Brokers, "kept"); got != want {
			t.Errorf("offset %d, want %d", got, want)
		}
		kafka.Stop()
	}
}

func produce(t *testing.T, brokers []string, topic string) int64 {
	t.Helper()
	config := sarama.NewConfig()
	config.Producer.Return.Successes = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	producer, err := sarama.NewSyncProducer(brokers, config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = producer.Close() }()
	_, offset, err := producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder("x")})
	if err != nil {
		t.Fatal(err)
	}
	return offset
}
