package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/millrace/millrace/infra/stack/process"
)

func startRedisServer(ctx context.Context, cfg RedisConfig, program redisProgram, port int) (*Redis, error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making Redis's folder: %w", err)
	}
	if err := EndRedis(dir, port); err != nil {
		return nil, err
	}
	if err := CheckPorts(RedisPort(port)); err != nil {
		return nil, err
	}
	log := markLog(cfg.Log)
	server, err := process.Start(process.Spec{
		Path:    program.path,
		Args:    redisArgs(cfg, dir, port),
		Output:  cfg.Log,
		Dir:     dir,
		DieWith: syscall.SIGTERM,
	})
	if err != nil {
		return nil, err
	}
	r := &Redis{
		URL:    "redis://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) + "/0",
		Origin: program.origin, server: server,
	}
	if err := errors.Join(process.Claim(redisClaim(dir), server.PID()), r.await(ctx, cfg.cluster, log)); err != nil {
		return nil, errors.Join(err, r.Stop())
	}
	return r, nil
}

func redisClaim(dir string) string { return filepath.Join(dir, "redis.pid") }

// EndRedis ends the server that an earlier run left over in dir, on that port.
func EndRedis(dir string, port int) error {
	if _, err := process.Reclaim(redisClaim(dir), ":"+strconv.Itoa(port)); err != nil {
		return fmt.Errorf("Redis of an earlier run: %w", err)
	}
	return nil
}

func redisArgs(cfg RedisConfig, dir string, port int) []string {
	appendOnly := "yes"
	if cfg.Volatile {
		appendOnly = "no"
	}
	args := []string{
		"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", dir,
		"--appendonly", appendOnly, "--appendfsync", "everysec", "--save", "",
		"--daemonize", "no", "--logfile", "",
		// Views are no cache: a key that is evicted would be missing for good.
		"--maxmemory-policy", "noeviction",
	}
	if cfg.cluster {
		args = append(args, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0")
	}
	return append(args, cfg.Args...)
}

// await returns once the server answers with its data loaded.
func (r *Redis) await(ctx context.Context, cluster bool, log process.LogMark) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		// The client logs each failure to connect: ask it when there is something.
		err := listens(ctx, r.Port())
		if err == nil && !cluster { // which does not answer for itself alone
			err = answers(ctx, r.URL)
		}
		if err == nil {
			return nil
		}
		select {
		case <-r.server.Done():
			return fmt.Errorf("Redis ended at once: %w: %s", r.server.Err(), log.Tail())
		case <-ctx.Done():
			return fmt.Errorf("Redis does not answer: %w", err)
		case <-tick.C:
		}
	}
}
