package views

import (
	"bufio"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/millrace/millrace/infra/skiptest"
)

// server is the redis-server that the tests of this process share, or nil where
// none is installed. Tests keep apart by tenant.
var server *redisServer

// noServer is why nothing is tested on a real server.
const noServer = "redis-server is not installed (Debian: apt-get install redis-server): only miniredis is tested"

func TestMain(m *testing.M) {
	// Flags override this; see check.
	if err := flag.Set("rapid.checks", strconv.Itoa(checks)); err != nil {
		panic(err)
	}
	code := func() int {
		path, err := exec.LookPath("redis-server")
		if err != nil {
			return m.Run() // which says what is skipped
		}
		directory, err := os.MkdirTemp("", "views")
		if err != nil {
			panic(err)
		}
		defer func() { _ = os.RemoveAll(directory) }()
		server, err = startRedis(path, directory)
		if err != nil {
			panic(err)
		}
		defer server.stop()
		defer stopShared()
		return m.Run()
	}()
	os.Exit(code)
}

type redisServer struct {
	address string
	process *exec.Cmd
}

// startRedis runs a server on a free port of the loopback interface.
func startRedis(path, directory string, more ...string) (*redisServer, error) {
	var err error
	for range 5 {
		var s *redisServer
		if s, err = tryStartRedis(path, directory, more...); err == nil {
			return s, nil
		}
	}
	return nil, err
}

func tryStartRedis(path, directory string, more ...string) (*redisServer, error) {
	port := freePort()
	arguments := append([]string{
		"--bind", "127.0.0.1", "--port", fmt.Sprint(port), "--dir", directory,
		"--save", "", "--appendonly", "no",
	}, more...)
	cmd := exec.Command(path, arguments...)
	dieWithParent(cmd)
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var said strings.Builder
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		fmt.Fprintln(&said, lines.Text())
		if strings.Contains(lines.Text(), "Ready to accept connections") {
			go func() { // the server blocks when nobody reads what it says
				for lines.Scan() {
				}
			}()
			return &redisServer{address: fmt.Sprintf("127.0.0.1:%d", port), process: cmd}, nil
		}
	}
	_ = cmd.Wait()
	return nil, fmt.Errorf("redis-server did not start:\n%s", said.String())
}

func (s *redisServer) stop() {
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
}

// freePort returns a port that was free a moment ago, low enough for the bus of a
// cluster to be 10,000 above it.
func freePort() int {
	for {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		address, ok := listener.Addr().(*net.TCPAddr)
		_ = listener.Close()
		if ok && address.Port < 55_000 {
			return address.Port
		}
	}
}

// ownRedis starts a server for one test, which may flush or stop it.
func ownRedis(t *testing.T) *redisServer {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		skiptest.Missing(t, noServer)
	}
	s, err := startRedis(path, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

// checks is how many examples of a property are checked at a time.
const checks = 25

// check checks a property, on a real server four times as often as on its fake,
// which is fifty times slower.
func check(t testing.TB, property func(*rapid.T)) {
	t.Helper()
	rounds := 4
	if strings.HasSuffix(t.Name(), "/miniredis") {
		rounds = 1
	}
	for range rounds {
		rapid.Check(t, property)
	}
}

// subject is a test of one kind of server.
type subject struct {
	*testing.T

	client  redis.UniversalClient
	masters int
}

// servers say where a test finds each kind of server.
type servers struct {
	single, fake, cluster func(t *testing.T) (url string)
}

// backends runs a test against the shared real servers and against a fake.
func backends(t *testing.T, test func(t *subject)) {
	t.Helper()
	servers{single: sharedRedis, fake: newFake, cluster: cluster}.run(t, test)
}

// isolated runs a test against servers of its own, which it may flush.
func isolated(t *testing.T, test func(t *subject)) {
	t.Helper()
	servers{single: func(t *testing.T) string {
		t.Helper()
		return "redis://" + ownRedis(t).address
	}, fake: newFake, cluster: ownCluster}.run(t, test)
}

func (s servers) run(t *testing.T, test func(t *subject)) {
	t.Helper()
	t.Parallel()
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(&subject{t, openTest(t, s.single(t)), 1})
	})
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		test(&subject{t, openTest(t, s.fake(t)), 1})
	})
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		test(&subject{t, openTest(t, s.cluster(t)), 3})
	})
}

func newFake(t *testing.T) string {
	t.Helper()
	return "redis://" + miniredis.RunT(t).Addr()
}

func sharedRedis(t *testing.T) string {
	t.Helper()
	if server == nil {
		skiptest.Missing(t, noServer)
	}
	return "redis://" + server.address
}

func openTest(t testing.TB, url string) redis.UniversalClient {
	t.Helper()
	client, err := Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

var tenants atomic.Int64

// newTenant names a tenant that no other test uses.
func newTenant() string { return fmt.Sprintf("tenant-%d", tenants.Add(1)) }

// soon is a claim that no test outlives.
func soon() Claim { return Claim{Deadline: time.Now().Add(Lifetime), Epoch: 1} }

// apply applies views and returns the outcomes.
func apply(t testing.TB, client redis.UniversalClient, claim Claim, views ...View) []Outcome {
	t.Helper()
	result, err := Apply(t.Context(), client, views, claim)
	if err != nil {
		t.Fatal(err)
	}
	return result.Outcomes
}
