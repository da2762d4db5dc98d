package platform_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/infra/platform"
	"github.com/millrace/millrace/infra/platform/platformtest"
	"github.com/millrace/millrace/infra/stack"
	"github.com/millrace/millrace/infra/topics"
)

func start(t *testing.T, cfg platform.Config) *platform.Platform {
	t.Helper()
	cfg.Volatile = true
	p, err := platform.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() })
	return p
}

func TestPlatform(t *testing.T) {
	f := platformtest.Checkout(t)
	drained := filepath.Join(f.Root, "drained")
	t.Setenv("FAKE_DRAINED", drained)
	news := &news{}
	p := start(t, platform.Config{Folders: f, Reporter: news})

	t.Run("processes get what the platform tells them", func(t *testing.T) {
		at := p.Addresses
		for _, want := range []struct{ process, name, value string }{
			{"trade", "DATABASE_URL", at.DatabaseURL},
			{"trade", "REDIS_URL", at.RedisURL},
			{"trade", "KAFKA_BROKERS", strings.Join(at.KafkaBrokers, ",")},
			{"trade", "K_SERVICE", "trade"},
			{"ledger-trigger", "KAFKA_TOPICS", "ledger-events"},
			{"ledger-trigger", "KAFKA_CONSUMER_GROUP", "millrace-ledger-events"},
			{"ledger-trigger", "KAFKA_DEAD_LETTER_TOPIC", "ledger-events-dead-letter"},
			{"ledger-trigger", "K_SINK", address(t, at, "ledger")},
			{"relay", "RELAY_INTERVAL", "1s"},
			{"http", "KAFKA_BROKERS", strings.Join(at.KafkaBrokers, ",")},
			{"http", "CALL_URLS", "trade=" + address(t, at, "trade") + ",ledger=" + address(t, at, "ledger")},
		} {
			if got := get(t, address(t, at, want.process)+"/env?name="+want.name); got != want.value {
				t.Errorf("%s has %s=%q, want %q", want.process, want.name, got, want.value)
			}
		}
	})

	t.Run("others find it", func(t *testing.T) {
		at, err := platform.ReadAddresses(f.Data)
		if err != nil || at.DatabaseURL != p.Addresses.DatabaseURL || len(at.Processes) != 6 {
			t.Errorf("%+v, error %v", at, err)
		}
	})

	t.Run("the database is migrated and has this month", func(t *testing.T) {
		conn, err := pgx.Connect(t.Context(), p.Addresses.DatabaseURL)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(context.Background()) }()
		month := time.Now().UTC().Format("_2006_01")
		if _, err := conn.Exec(t.Context(), "SELECT FROM millrace.audit"+month); err != nil {
			t.Error(err)
		}
	})

	t.Run("a second one is refused", func(t *testing.T) {
		_, err := platform.Start(t.Context(), platform.Config{Folders: f})
		var running *platform.AlreadyRunningError
		if !errors.As(err, &running) || running.PID != os.Getpid() {
			t.Errorf("error %v", err)
		}
	})

	t.Run("a process that dies is started again", func(t *testing.T) {
		for _, unit := range []*platform.Unit{p.Unit("trade"), p.Store("PostgreSQL")} {
			if err := syscall.Kill(unit.PID(), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			eventually(t, unit.Name+" to be started again", func() bool { return unit.Starts() == 2 })
			if !news.has(unit.Name + " ended (signal: killed); starting it again in 200ms") {
				t.Errorf("no line tells of it: %q", news.lines)
			}
		}
		eventually(t, "trade to be ready", func() bool {
			return platform.Ready(t.Context(), address(t, p.Addresses, "trade")) == nil
		})
	})

	t.Run("it drains in order", func(t *testing.T) {
		if err := p.Stop(); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(drained)
		if err != nil {
			t.Fatal(err)
		}
		order := strings.Fields(string(text))
		slices.Sort(order[1:3]) // triggers drain at the same time,
		slices.Sort(order[3:5]) // and so do functions
		if got := strings.Join(order, " "); got != "gateway ledger-events trade-events ledger trade 1s" {
			t.Errorf("order %s", got)
		}
	})

	t.Run("it starts again on what it kept", func(t *testing.T) {
		again := start(t, platform.Config{Folders: f})
		if again.Unit("trade") == nil {
			t.Error("no trade")
		}
	})
}

func TestAllPortsInUseAreFoundBeforeAnythingIsBuilt(t *testing.T) {
	t.Parallel()
	f := platformtest.Checkout(t)
	var ports [3]int
	for i := range ports {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ln.Close() })
		ports[i] = portOf(t, ln)
	}
	slices.Sort(ports[:]) // the functions' are many, and upwards from the first
	// trade is the fourth of the functions.
	_, err := platform.Start(t.Context(), platform.Config{Folders: f, KafkaPort: ports[2], PostgresPort: ports[1], FunctionsPort: ports[0] - 3, RedisPort: ports[0] + 2})
	if _, ok := errors.AsType[stack.PortsInUseError](err); !ok {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{
		fmt.Sprintf("\n  %-5d  Kafka: is in use (--kafka-port, or KAFKA_BROKERS", ports[2]),
		fmt.Sprintf("\n  %-5d  PostgreSQL: is in use (--postgres-port, or DATABASE_URL", ports[1]),
		fmt.Sprintf("\n  %-5d  trade: is in use (--functions-port)", ports[0]),
		fmt.Sprintf("\n  %-5d  ledger: is given to Redis too (--functions-port)", ports[0]+2),
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("lacks %q: %v", want, err)
		}
	}
	if _, err := os.Stat(filepath.Join(f.Data, "bin")); err == nil {
		t.Error("programs were built")
	}
}

func TestPortsThatThereAreNotAreRefused(t *testing.T) {
	t.Parallel()
	f := platformtest.Checkout(t)
	_, err := platform.Start(t.Context(), platform.Config{Folders: f, KafkaPort: 65535, PostgresPort: 99999, RedisPort: -1, FunctionsPort: 1})
	want := fmt.Sprintf(`--kafka-port is 65535, want 1 to 65533, or 0 for a free port
--postgres-port is 99999, want 1 to 65535, or 0 for a free port
--redis-port is -1, want 1 to 65535, or 0 for a free port
--functions-port is 1, want 2 to %d, or 0 for a free port`, 65535-100-len(topics.Functions())+1) // the last trigger has the last port
	if err == nil || err.Error() != want {
		t.Errorf("error %v", err)
	}
}

func TestAProcessThatFailsAtOnceIsShownWithItsLog(t *testing.T) {
	t.Parallel()
	f := platformtest.Checkout(t)
	const broken = "package main\n\nimport \"os\"\n\nfunc main() { println(\"no luck today\"); os.Exit(3) }\n"
	if err := os.WriteFile(filepath.Join(f.Root, "triggers/relay/cmd/main.go"), []byte(broken), 0o644); err != nil {
		t.Fatal(err)
	}
	log := f.LogFile("relay")
	if err := errors.Join(os.MkdirAll(filepath.Dir(log), 0o755), os.WriteFile(log, []byte("no luck yesterday\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	_, err := platform.Start(t.Context(), platform.Config{Folders: f, Volatile: true})
	if err == nil || !strings.Contains(err.Error(), "relay") || !strings.Contains(err.Error(), "no luck today") || strings.Contains(err.Error(), "yesterday") {
		t.Errorf("error %v", err)
	}
	if _, err := platform.ReadAddresses(f.Data); !errors.Is(err, platform.ErrNotRunning) {
		t.Errorf("it seems to run: %v", err)
	}
}

func TestAddressesOfADeadPlatformDoNotCount(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := platform.ReadAddresses(dir); !errors.Is(err, platform.ErrNotRunning) {
		t.Errorf("without a file: %v", err)
	}
	// The highest pid that Linux gives is 2^22.
	if err := os.WriteFile(filepath.Join(dir, "platform.json"), []byte(`{"pid": 2000000000}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := platform.ReadAddresses(dir); !errors.Is(err, platform.ErrNotRunning) {
		t.Errorf("with a dead one's file: %v", err)
	}
}

func TestFindRootLooksUpwards(t *testing.T) {
	t.Parallel()
	f := platformtest.Checkout(t)
	root, err := platform.FindRoot(filepath.Join(f.Root, "functions", "trade"))
	if err != nil || root != f.Root {
		t.Errorf("%s, error %v", root, err)
	}
	if _, err := platform.FindRoot(t.TempDir()); err == nil {
		t.Error("found one where there is none")
	}
}

func portOf(t *testing.T, ln net.Listener) int {
	t.Helper()
	addr, ok := ln.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("no TCP address: %v", ln.Addr())
	}
	return addr.Port
}

func address(t *testing.T, at platform.Addresses, name string) string {
	t.Helper()
	for _, p := range at.Processes {
		if p.Name == name {
			return p.URL
		}
	}
	t.Fatalf("no address of %s", name)
	return ""
}

func get(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}

// news keeps what a person would have read.
type news struct {
	stack.Silent
	mu    sync.Mutex
	lines []string
}

func (n *news) Note(line string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, line)
}

func (n *news) has(line string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Contains(n.lines, line)
}
