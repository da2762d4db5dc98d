package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/infra/faults/proxy"
	"github.com/millrace/millrace/infra/invariants"
	"github.com/millrace/millrace/infra/platform"
	"github.com/millrace/millrace/infra/skiptest"
	"github.com/millrace/millrace/infra/stack"
	"github.com/millrace/millrace/infra/stack/kafkacluster"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/shared/views"
)

// families run here: a trade makes events for the two others.
var families = []string{"trade", "position", "ledger"}

// What the tests are about.
var (
	events      = topics.Events("trade")
	deadLetters = topics.DeadLetters("trade")
	group       = platform.ConsumerGroup("trade")
)

// patience is how long anything is waited for, with brokers down and the machine
// busy.
const patience = 2 * time.Minute

// world is a platform on a real Kafka, without a trigger of trades: each test
// starts its own.
type world struct {
	root     string
	data     string
	seed     uint64
	cluster  *kafkacluster.Cluster
	doors    []*proxy.Proxy // one before each broker, for those who take it
	platform *platform.Platform
	pool     *pgxpool.Pool
	redis    redis.UniversalClient
	client   *kgo.Client
	admin    *kadm.Client
	// sent is all that Kafka has ever acknowledged to the tests, and must not lose.
	sent []invariants.Sent
}

// running is what shared started.
var running *world

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

// unavailableError says why there is no Apache Kafka here.
type unavailableError struct{ cause error }

func (e *unavailableError) Error() string { return e.cause.Error() }

// theWorld returns the world with its Kafka whole.
func theWorld(t *testing.T) *world {
	t.Helper()
	if os.Getenv("MILLRACE_FAULTS") == "" {
		t.Skip("NOT TESTED here: it takes minutes, on a real Kafka; `go tool task faults` does it")
	}
	stacktest.RealRedis(t)
	w, err := shared()
	if missing, ok := errors.AsType[*unavailableError](err); ok {
		skiptest.Missing(t, missing.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the logs of all processes and brokers are kept in %s", w.data)
			w.mend(t)
		}
	})
	w.whole(t)
	return w
}

// mend brings back the brokers that a test which failed took away.
func (w *world) mend(t *testing.T) {
	t.Helper()
	for _, b := range w.cluster.Brokers {
		var err error
		if b.Alive() {
			err = b.Resume()
		} else {
			err = b.Start(context.WithoutCancel(t.Context()))
		}
		if err != nil {
			t.Log(err)
		}
	}
}

func start() (_ *world, err error) {
	ctx := context.Background()
	programs, err := kafkacluster.Find(ctx)
	if err != nil {
		return nil, &unavailableError{err}
	}
	w := &world{}
	if w.seed, err = strconv.ParseUint(os.Getenv("MILLRACE_SEED"), 10, 64); err != nil {
		w.seed = rand.Uint64()
	}
	if w.root, err = platform.FindRoot("."); err != nil {
		return nil, err
	}
	if w.data, err = platform.TemporaryData(w.root, "kafka-"); err != nil {
		return nil, err
	}
	running = w
	doors, err := w.openDoors()
	if err != nil {
		return nil, err
	}
	limit, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if w.cluster, err = kafkacluster.Start(limit, programs, filepath.Join(w.data, "kafka"), doors...); err != nil {
		return nil, err
	}
	if err := w.startPlatform(ctx); err != nil {
		return nil, err
	}
	return w, w.connect(ctx)
}

// openDoors starts a proxy for each broker to be.
func (w *world) openDoors() ([]kafkacluster.Door, error) {
	var doors []kafkacluster.Door
	for range 3 {
		port, err := stack.FreePort()
		if err != nil {
			return nil, err
		}
		door := kafkacluster.Door{Listen: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
		p, err := proxy.Start(door.Listen, proxy.Kafka)
		if err != nil {
			return nil, err
		}
		door.Advertised = p.Address()
		w.doors, doors = append(w.doors, p), append(doors, door)
	}
	return doors, nil
}

// settings are those of all processes.
var settings = map[string]string{
	// What a kill leaves behind is taken up after these times.
	"KAFKA_SESSION_TIMEOUT": "3s", "KAFKA_REBALANCE_TIMEOUT": "6s", "DRAIN_TIMEOUT": "4s",
	"RELAY_OLDER_THAN": "1s", "RELAY_LEASE": "3s",
	// More requests at once.
	"BATCH_MAX_EVENTS": "20",
}

func (w *world) startPlatform(ctx context.Context) (err error) {
	w.platform, err = platform.Start(ctx, platform.Config{
		Folders:      platform.Folders{Root: w.root, Data: w.data, Bin: w.bin()},
		KafkaBrokers: w.cluster.Addresses(), Functions: families, Settings: settings, Volatile: true, Reporter: reporter{},
	})
	if err != nil {
		return err
	}
	return w.platform.Unit("trade-trigger").Stop()
}

func (w *world) bin() string { return filepath.Join(w.root, platform.DataFolder, "faults", "bin") }

func (w *world) connect(ctx context.Context) (err error) {
	at := w.platform.Addresses
	if w.pool, err = pgxpool.New(ctx, at.DatabaseURL); err != nil {
		return err
	}
	if w.redis, err = views.Open(ctx, at.RedisURL); err != nil {
		return err
	}
	w.client, err = kgo.NewClient(kgo.SeedBrokers(w.cluster.Addresses()...), kgo.MetadataMinAge(100*time.Millisecond))
	w.admin = kadm.NewClient(w.client)
	return err
}

// stop stops all. The folder stays if something failed.
func (w *world) stop(failed bool) error {
	var err error
	if w.client != nil { // the last of them
		w.client.Close()
		w.pool.Close()
		_ = w.redis.Close() // nothing is written any more
	}
	if w.platform != nil {
		err = w.platform.Stop()
	}
	if w.cluster != nil {
		w.cluster.Kill()
	}
	if err == nil && !failed {
		return os.RemoveAll(w.data)
	}
	return err
}

// whole waits until nothing is missing in the cluster.
func (w *world) whole(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := w.cluster.AwaitAll(ctx); err != nil {
		t.Fatal(err)
	}
}

// url is where a process of the platform listens.
func (w *world) url(process string) string {
	for _, p := range w.platform.Addresses.Processes {
		if p.Name == process {
			return p.URL
		}
	}
	panic("the platform has no process " + process)
}

// reporter shows what takes long and what dies.
type reporter struct{ stack.Silent }

func (reporter) Note(line string) {
	fmt.Fprintln(os.Stderr, time.Now().Format("15:04:05.000"), line)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	port, err := stack.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}
