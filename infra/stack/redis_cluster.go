package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/infra/stack/process"
)

// RedisCluster is a Redis Cluster of three masters with a replica each.
type RedisCluster struct {
	// URL names all nodes.
	URL   string
	Nodes []*Redis
	cli   string
}

// ErrNoRedis says that redis-server or redis-cli is not installed.
var ErrNoRedis = errors.New("redis-server or redis-cli is not installed")

// StartRedisCluster starts a Redis Cluster in folders below dir. It keeps nothing
// on disk, and notices within two seconds that a master is gone: it is for tests.
func StartRedisCluster(ctx context.Context, dir string) (*RedisCluster, error) {
	program, ok := findRedis(ctx)
	cli, err := exec.LookPath("redis-cli")
	if !ok || err != nil {
		return nil, ErrNoRedis
	}
	c := &RedisCluster{cli: cli}
	for n := range 6 {
		node, err := startClusterNode(ctx, program, filepath.Join(dir, strconv.Itoa(n)))
		if err != nil {
			return nil, errors.Join(err, c.Stop())
		}
		c.Nodes = append(c.Nodes, node)
	}
	if err := c.create(ctx); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

func startClusterNode(ctx context.Context, program redisProgram, dir string) (node *Redis, err error) {
	// A free port can be taken by somebody else before the server has it.
	for range 5 {
		var port int
		if port, err = clusterPort(); err != nil {
			return nil, err
		}
		node, err = startRedisServer(ctx, RedisConfig{Dir: dir, Volatile: true, cluster: true}, program, port)
		if err == nil {
			return node, nil
		}
	}
	return nil, err
}

// clusterPort finds a port whose bus, 10000 above it, lies below those of outgoing
// connections too.
func clusterPort() (int, error) {
	for {
		if port, err := FreePort(); err != nil || port+10_000 <= lastFreePort {
			return port, err
		}
	}
}

func (c *RedisCluster) create(ctx context.Context) error {
	query := url.Values{}
	var hosts []string
	for _, n := range c.Nodes {
		host := net.JoinHostPort("127.0.0.1", strconv.Itoa(n.Port()))
		hosts = append(hosts, host)
		query.Add("addr", host)
	}
	c.URL = "redis://" + hosts[0] + "?" + query.Encode()
	args := append([]string{"--cluster", "create"}, hosts...)
	if _, err := process.Run(ctx, process.Spec{Path: c.cli, Args: append(args, "--cluster-replicas", "1", "--cluster-yes")}); err != nil {
		return fmt.Errorf("making a Redis Cluster: %w", err)
	}
	for _, n := range c.Nodes {
		if err := c.settled(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// settled waits until a node finds the cluster in order and, if it is a replica,
// has its master's data.
func (c *RedisCluster) settled(ctx context.Context, n *Redis) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		cluster, err := c.ask(ctx, n, "CLUSTER", "INFO")
		replication, err2 := c.ask(ctx, n, "INFO", "replication")
		complete := strings.Contains(replication, "master_link_status:up") || strings.Contains(replication, "connected_slaves:1")
		if err == nil && err2 == nil && strings.Contains(cluster, "cluster_state:ok") && complete {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("a Redis Cluster is not in order: %w: %s %s", ctx.Err(), cluster, replication)
		case <-tick.C:
		}
	}
}

func (c *RedisCluster) ask(ctx context.Context, n *Redis, args ...string) (string, error) {
	return process.Run(ctx, process.Spec{Path: c.cli, Args: append([]string{"-p", strconv.Itoa(n.Port())}, args...)})
}

// Stop ends all nodes.
func (c *RedisCluster) Stop() error {
	var errs []error
	for _, n := range c.Nodes {
		errs = append(errs, n.Stop())
	}
	return errors.Join(errs...)
}
