package knative

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/infra/skiptest"
)

// The script that joins the pods runs here on six servers with the manifests' own
// configuration: it makes the cluster, finds nothing to do, finds the nodes when
// all have come back with other addresses, and takes in one that has lost its disk.
func TestRedisJoins(t *testing.T) {
	t.Parallel()
	w := newRedisWorld(t)
	for n := range w {
		w.start(t, n, 1)
	}
	w.join(t)
	w.await(t, 1, "the cluster", whole)
	if out := w.join(t); strings.Contains(out, "Adding") {
		t.Errorf("joined again:\n%s", out)
	}

	for n := range w {
		w.stop(t, n)
	}
	for n := range w {
		w.start(t, n, 2)
	}
	w.join(t)
	w.await(t, 1, "the nodes at their other addresses", whole)

	w.stop(t, 0)
	if err := os.RemoveAll(w[0].dir); err != nil {
		t.Fatal(err)
	}
	w.await(t, 1, "its part to be another's", func(info, nodes string) bool {
		return strings.Contains(info, "cluster_slots_ok:16384") && regexp.MustCompile(`:`+w[0].port+`@\S+ \w+,fail `).MatchString(nodes)
	})
	w.start(t, 0, 3)
	w.join(t)
	w.await(t, 0, "the one that had lost its disk", whole)
}

// whole is a cluster of six that reach each other, three of them replicas.
func whole(info, nodes string) bool {
	return strings.Contains(info, "cluster_state:ok") && strings.Count(nodes, "slave ") == 3 &&
		strings.Count(nodes, " connected") == 6
}

// redisWorld is six servers; each start is another loopback address, as pods have.
type redisWorld []*redisNode

type redisNode struct {
	dir, host, port string
	cmd             *exec.Cmd
}

func newRedisWorld(t *testing.T) (w redisWorld) {
	t.Helper()
	if os.Getenv("MILLRACE_FAULTS") == "" {
		t.Skip("NOT RUN HERE: whether Redis Cluster comes together, which takes 12 s: go tool task faults")
	}
	for _, program := range []string{"redis-server", "redis-cli", "getent"} {
		if _, err := exec.LookPath(program); err != nil {
			skiptest.Missing(t, program+" is not installed: whether Redis Cluster comes together is not tried")
		}
	}
	dir := t.TempDir()
	for len(w) < 6 {
		// Below those of outgoing connections, as that of its bus 10,000 above.
		port := fmt.Sprint(11_000 + rand.IntN(10_000))
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.1.1", port))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		w = append(w, &redisNode{dir: filepath.Join(dir, port), port: port})
	}
	t.Cleanup(func() {
		for n := range w {
			w.stop(t, n)
		}
	})
	return w
}

func (w redisWorld) start(t *testing.T, n, address int) {
	t.Helper()
	node := w[n]
	node.host = fmt.Sprintf("127.0.%d.1", address)
	text, err := os.ReadFile("stores/redis/redis.conf")
	file := filepath.Join(node.dir, "redis.conf")
	text = []byte(strings.Replace(string(text), "dir /data", "dir "+node.dir, 1))
	if err := errors.Join(err, os.MkdirAll(node.dir, 0o755), os.WriteFile(file, text, 0o600)); err != nil {
		t.Fatal(err)
	}
	// As the StatefulSet starts it.
	node.cmd = exec.Command("redis-server", file, "--cluster-announce-ip", node.host, "--requirepass", "secret", "--masterauth", "secret",
		"--port", node.port, "--bind", node.host, "--cluster-node-timeout", "2000")
	if err := node.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.await(t, n, "it to answer", func(info, _ string) bool { return strings.Contains(info, "cluster_state") })
}

func (w redisWorld) stop(t *testing.T, n int) {
	t.Helper()
	if w[n].cmd == nil {
		return
	}
	if err := w[n].cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := w[n].cmd.Wait(); err != nil {
		t.Error(err)
	}
	w[n].cmd = nil
}

// join runs the script as the CronJob does.
func (w redisWorld) join(t *testing.T) string {
	t.Helper()
	var nodes []string
	for _, node := range w {
		nodes = append(nodes, node.host+":"+node.port)
	}
	cmd := exec.Command("sh", "stores/redis/join.sh")
	cmd.Env = append(os.Environ(), "NODES="+strings.Join(nodes, " "), "REDISCLI_AUTH=secret")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// await looks until a node says so of its cluster.
func (w redisWorld) await(t *testing.T, n int, what string, so func(info, nodes string) bool) {
	t.Helper()
	ask := func(command string) string {
		cmd := exec.Command("redis-cli", "-h", w[n].host, "-p", w[n].port, "cluster", command)
		cmd.Env = append(os.Environ(), "REDISCLI_AUTH=secret")
		out, _ := cmd.Output()
		return string(out)
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); !so(ask("info"), ask("nodes")); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s:\n%s%s", what, ask("info"), ask("nodes"))
		}
	}
}
