package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/functions"
	"github.com/millrace/millrace/infra/invariants"
	"github.com/millrace/millrace/infra/platform"
	"github.com/millrace/millrace/infra/stack"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/views"
)

// knobs are described in the package's documentation.
type knobs struct {
	Seed       uint64        `env:"MILLRACE_SEED"`
	Events     int           `env:"MILLRACE_E2E_EVENTS" envDefault:"4000"`
	Kills      int           `env:"MILLRACE_E2E_KILLS" envDefault:"10"`
	Stores     int           `env:"MILLRACE_E2E_STORES" envDefault:"0"`
	BuildFlags []string      `env:"MILLRACE_E2E_BUILD_FLAGS"`
	Patience   time.Duration `env:"MILLRACE_E2E_PATIENCE" envDefault:"90s"`
}

// world is a running platform and the test's own ways into it.
type world struct {
	knobs    knobs
	data     string
	platform *platform.Platform
	pool     *pgxpool.Pool
	redis    redis.UniversalClient
	client   *kgo.Client // to partitions that the record names
}

// running is what shared started.
var running *world

// shared is the one platform of the tests here: each has tenants of its own.
var shared = sync.OnceValues(start)

func TestMain(m *testing.M) {
	code := m.Run()
	if running != nil {
		if err := running.stop(code != 0); err != nil {
			fmt.Fprintln(os.Stderr, "stopping the platform:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// theWorld returns the platform, and notes it down when the test fails.
func theWorld(t *testing.T) *world {
	t.Helper()
	stacktest.RealRedis(t)
	w, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the logs of all processes are kept in %s", filepath.Join(w.data, "log"))
		}
	})
	return w
}

func start() (_ *world, err error) {
	w := &world{}
	if w.knobs, err = env.ParseAs[knobs](); err != nil {
		return nil, err
	}
	root, err := platform.FindRoot(".")
	if err != nil {
		return nil, err
	}
	if w.data, err = os.MkdirTemp("", "millrace-e2e-"); err != nil {
		return nil, err
	}
	// PostgreSQL may run as another user, who has to get in.
	if err := os.Chmod(w.data, 0o755); err != nil {
		return nil, err
	}
	bin := filepath.Join(root, platform.DataFolder, "e2e", "bin"+strings.Join(w.knobs.BuildFlags, ""))
	w.platform, err = platform.Start(context.Background(), platform.Config{
		Folders:    platform.Folders{Root: root, Data: w.data, Bin: bin},
		BuildFlags: w.knobs.BuildFlags, Volatile: true, Reporter: reporter{},
		Settings: map[string]string{
			// What is left behind by a kill is taken up after these times: a test that
			// waits for it should not take long.
			"KAFKA_SESSION_TIMEOUT": "6s", "KAFKA_REBALANCE_TIMEOUT": "8s", "DRAIN_TIMEOUT": "5s",
			"RELAY_OLDER_THAN": "1s", "RELAY_LEASE": "3s",
			// More requests at once, and drains that do not fit into a transaction.
			"BATCH_MAX_EVENTS": "50", "DRAIN_LIMIT": "3",
		},
	})
	if err != nil {
		return nil, err
	}
	running = w
	return w, w.connect()
}

func (w *world) connect() (err error) {
	at := w.platform.Addresses
	if w.pool, err = pgxpool.New(context.Background(), at.DatabaseURL); err != nil {
		return err
	}
	if w.redis, err = views.Open(context.Background(), at.RedisURL); err != nil {
		return err
	}
	w.client, err = kgo.NewClient(kgo.SeedBrokers(at.KafkaBrokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	return err
}

// stop stops the platform. Its folder stays if something failed.
func (w *world) stop(failed bool) error {
	if w.client != nil { // the last of them
		w.client.Close()
		w.pool.Close()
		_ = w.redis.Close() // nothing is written any more
	}
	err := w.platform.Stop()
	if err == nil && !failed {
		return os.RemoveAll(w.data)
	}
	return err
}

// deps is the whole platform for the check of invariants.
func (w *world) deps() invariants.Deps {
	return invariants.Deps{
		Pool: w.pool, Redis: w.redis, Brokers: w.platform.Addresses.KafkaBrokers,
		Functions: functions.All(), ConsumerGroups: w.platform.Addresses.TopicGroups(),
	}
}

// reporter shows what takes long and what dies: go test prints it when the
// package fails or with -v.
type reporter struct{ stack.Silent }

func (reporter) Note(line string) {
	fmt.Fprintln(os.Stderr, time.Now().Format("15:04:05.000"), line)
}
