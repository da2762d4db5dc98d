package stacktest

import (
	"errors"
	"os"
	"testing"

	"github.com/millrace/millrace/infra/skiptest"
	"github.com/millrace/millrace/infra/stack"
)

// RedisCluster returns a Redis Cluster of its own: three masters, each with a
// replica.
func RedisCluster(t testing.TB) *stack.RedisCluster {
	t.Helper()
	dir, err := os.MkdirTemp(mustScratch(t), "cluster-")
	if err != nil {
		t.Fatalf("making a folder for a Redis Cluster: %v", err)
	}
	cluster, err := stack.StartRedisCluster(t.Context(), dir)
	if errors.Is(err, stack.ErrNoRedis) {
		skiptest.Missing(t, err.Error()+" (Debian: apt-get install redis-server)")
	}
	if err != nil {
		t.Fatalf("starting a Redis Cluster: %v", err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Logf("stopping a test's Redis Cluster: %v", err)
		}
		_ = os.RemoveAll(dir) // the whole folder goes at the end
	})
	return cluster
}
