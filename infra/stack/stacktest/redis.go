package stacktest

import (
	"os"
	"testing"

	"github.com/millrace/millrace/infra/skiptest"
	"github.com/millrace/millrace/infra/stack"
)

// Redis returns the URL of an empty Redis that nobody else uses: a server of
// its own, as tests of epochs flush, restart and listen to the whole server.
func Redis(t testing.TB) string {
	t.Helper()
	return RedisServer(t).URL
}

// RedisServer is [Redis] for tests that stop it.
func RedisServer(t testing.TB) *stack.Redis {
	t.Helper()
	dir, err := os.MkdirTemp(mustScratch(t), "redis-")
	if err != nil {
		t.Fatalf("making a folder for Redis: %v", err)
	}
	server, err := stack.StartRedis(t.Context(), stack.RedisConfig{Dir: dir, Volatile: true})
	if err != nil {
		t.Fatalf("starting Redis for a test: %v", err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Logf("stopping a test's Redis: %v", err)
		}
		_ = os.RemoveAll(dir) // the whole folder goes at the end
	})
	if server.Mini() != nil {
		withoutRedis(t)
	}
	return server
}

// RealRedis is for tests on what starts a Redis itself: in CI it fails where that
// would be miniredis.
func RealRedis(t testing.TB) {
	t.Helper()
	if !stack.HasRedis(t.Context()) {
		withoutRedis(t)
	}
}

func withoutRedis(t testing.TB) {
	t.Helper()
	skiptest.Without(t, "redis-server is not installed (Debian: apt-get install redis-server): miniredis stands in for it")
}

func mustScratch(t testing.TB) string {
	t.Helper()
	dir, err := scratch()
	if err != nil {
		t.Fatalf("making a folder for tests: %v", err)
	}
	return dir
}
