package stacktest

import (
	"os"
	"testing"

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
	return server
}

func mustScratch(t testing.TB) string {
	t.Helper()
	dir, err := scratch()
	if err != nil {
		t.Fatalf("making a folder for tests: %v", err)
	}
	return dir
}
