package views

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/millrace/millrace/infra/skiptest"
)

// redisCluster is three masters.
type redisCluster struct {
	nodes       []*redisServer
	directories []string
}

func startCluster() (*redisCluster, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, err
	}
	tool, err := exec.LookPath("redis-cli")
	if err != nil {
		return nil, err
	}
	c := &redisCluster{}
	arguments := []string{"--cluster", "create", "--cluster-yes"}
	for range 3 {
		directory, err := os.MkdirTemp("", "views-cluster")
		if err != nil {
			return c, err
		}
		c.directories = append(c.directories, directory)
		node, err := startRedis(path, directory, "--cluster-enabled", "yes")
		if err != nil {
			return c, err
		}
		c.nodes = append(c.nodes, node)
		arguments = append(arguments, node.address)
	}
	if output, err := exec.Command(tool, arguments...).CombinedOutput(); err != nil {
		return c, fmt.Errorf("%w: %s", err, output)
	}
	for _, node := range c.nodes {
		if err := node.joined(); err != nil {
			return c, err
		}
	}
	return c, nil
}

// joined waits until the node finds the whole cluster in order, which it does a
// moment after redis-cli is done.
func (s *redisServer) joined() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	client := redis.NewClient(&redis.Options{Addr: s.address})
	defer func() { _ = client.Close() }()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		info, err := client.ClusterInfo(ctx).Result()
		if err != nil {
			return err
		}
		if strings.Contains(info, "cluster_state:ok") {
			return nil
		}
		<-tick.C
	}
}

func (c *redisCluster) stop() {
	for _, node := range c.nodes {
		node.stop()
	}
	for _, directory := range c.directories {
		_ = os.RemoveAll(directory)
	}
}

func (c *redisCluster) url() string {
	return "redis://" + c.nodes[0].address + "?addr=" + c.nodes[1].address + "&addr=" + c.nodes[2].address
}

// sharedCluster is the one that most tests share; TestMain stops it.
var (
	sharedCluster *redisCluster
	startShared   = sync.OnceValue(func() (err error) {
		sharedCluster, err = startCluster()
		return err
	})
)

func stopShared() {
	if sharedCluster != nil {
		sharedCluster.stop()
	}
}

// cluster returns the URL of the shared cluster.
func cluster(t *testing.T) string {
	t.Helper()
	started(t, startShared())
	return sharedCluster.url()
}

// ownCluster starts a cluster for one test.
func ownCluster(t *testing.T) string {
	t.Helper()
	c, err := startCluster()
	if c != nil {
		t.Cleanup(c.stop)
	}
	started(t, err)
	return c.url()
}

func started(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, exec.ErrNotFound) {
		skiptest.Missing(t, "redis-server or redis-cli is not installed (Debian: apt-get install redis-server): clusters are not tested")
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Fault 23: while a slot moves from one master to another, and after, views are
// applied as before.
func TestSlotMoves(t *testing.T) {
	t.Parallel()
	url := ownCluster(t)
	client, ok := openTest(t, url).(*redis.ClusterClient)
	if !ok {
		t.Fatal("no cluster")
	}
	setEpoch(t, client, begun(t, client, 1, 3))
	key := Key("tenant", "moving")
	slot := slotOf(key)
	source, target := ends(t, client, key)
	version := int64(0)
	next := func(fields int) {
		t.Helper()
		version++
		hash := Hash{Key: key, Version: version, Fields: map[string]string{}}
		for i := range fields {
			hash.Fields[fmt.Sprint(i)] = fmt.Sprint(version)
		}
		expect(t, apply(t, client, soon(), hash)[0], Applied)
		expect(t, apply(t, client, soon(), hash)[0], Stale)
		if found, err := Diff(t.Context(), client, []View{hash}); err != nil || len(found) > 0 {
			t.Fatal(found, err)
		}
	}
	do := func(node *redis.Client, args ...any) {
		t.Helper()
		if err := node.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(args, err)
		}
	}
	next(1)
	others := func(name string, version int64, present bool) []View {
		members, bits, recent := sameSlot(slot, name+"-members"), sameSlot(slot, name+"-bits"), sameSlot(slot, name+"-recent")
		return []View{
			Member{Key: members, Member: "a", Version: version, Score: float64(version), Present: present},
			Bit{Key: bits, Member: "a", Version: version, On: present},
			Member{Key: members, Member: "gone", Version: 1}, // so that all companions are there
			Recent{Key: recent, Member: "a", Version: version, Score: 1, Value: fmt.Sprint(version), Keep: 2, Present: present},
		}
	}
	apply(t, client, soon(), others("changed", 1, true)...)
	apply(t, client, soon(), others("removed", 1, true)...)
	rest := append(others("changed", 2, true), others("removed", 2, false)...)
	from, to := id(t, source), id(t, target)
	do(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", from)
	do(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", to)
	next(2) // the keys are at the source still
	next(1) // with a field less
	// Redis may refuse some now; what it did to them before that is made good by
	// applying the same again.
	if result, err := Apply(t.Context(), client, rest, soon()); err == nil && !result.Settled() {
		t.Fatal(result)
	}
	host, port, _ := strings.Cut(target.Options().Addr, ":")
	moving, err := source.Do(t.Context(), "CLUSTER", "GETKEYSINSLOT", slot, 100).Slice()
	if err != nil {
		t.Fatal(err)
	}
	do(source, append([]any{"MIGRATE", host, port, "", 0, 5000, "KEYS"}, moving...)...)
	next(2) // ASK: the keys are at the target, the slot is not
	next(1)

	// Keys that do not exist yet can't be made in a slot on its way (TRYAGAIN): the
	// claim is left, and applied again later.
	late := []View{Hash{Key: sameSlot(slot, "late"), Version: 1, Fields: map[string]string{"a": "1"}}}
	if result, err := Apply(t.Context(), client, late, soon()); err == nil || result.Count(Unknown) != 1 {
		t.Fatal(result, err)
	}
	do(target, "CLUSTER", "SETSLOT", slot, "NODE", to)
	do(source, "CLUSTER", "SETSLOT", slot, "NODE", to)
	next(2) // MOVED
	expect(t, apply(t, client, soon(), late...)[0], Applied)
	result, err := Apply(t.Context(), client, rest, soon())
	if err != nil || !result.Settled() {
		t.Fatal(result, err)
	}
	found, err := Diff(t.Context(), client, rest)
	if err != nil || len(found) > 0 {
		t.Fatal(found, err)
	}
	if count := source.Exists(t.Context(), key).Val(); count != 0 {
		t.Fatal("the key did not move")
	}
}

// sameSlot is a key in a slot.
func sameSlot(slot int, kind string) string {
	for i := 0; ; i++ {
		if key := Key("tenant", kind, fmt.Sprint(i)); slotOf(key) == slot {
			return key
		}
	}
}

// ends returns the master that holds a key and another.
func ends(t *testing.T, client *redis.ClusterClient, key string) (source, target *redis.Client) {
	t.Helper()
	source, err := client.MasterForKey(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	err = client.ForEachMaster(t.Context(), func(_ context.Context, master *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		if master.Options().Addr != source.Options().Addr {
			target = master
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return source, target
}

func id(t *testing.T, node *redis.Client) string {
	t.Helper()
	text, err := node.Do(t.Context(), "CLUSTER", "MYID").Text()
	if err != nil {
		t.Fatal(err)
	}
	return text
}
