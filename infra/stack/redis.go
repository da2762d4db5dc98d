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

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/millrace/millrace/infra/stack/process"
)

// RedisConfig says where Redis comes from.
type RedisConfig struct {
	// URL is that of a server or cluster that exists already; with it nothing is started.
	URL string
	// Dir holds Redis's files.
	Dir string
	// Port on 127.0.0.1; 0 takes a free one.
	Port int
	// Volatile keeps nothing on disk: for tests only.
	Volatile bool
	// Log takes what the server says; nil discards it.
	Log *os.File
	// Reporter is told when there is no redis-server.
	Reporter Reporter
}

// Redis is a Redis that can be talked to at URL.
type Redis struct {
	URL string
	// Origin says in a few words where it comes from.
	Origin string
	server *process.Process
	mini   *miniRedis
}

// StartRedis starts a Redis, or checks the one that it is given, and returns
// when it answers.
func StartRedis(ctx context.Context, cfg RedisConfig) (*Redis, error) {
	cfg.Reporter = reporter(cfg.Reporter)
	if cfg.URL != "" {
		if err := checkRedis(ctx, cfg.URL); err != nil {
			return nil, fmt.Errorf("Redis from REDIS_URL: %w", err)
		}
		return &Redis{URL: cfg.URL, Origin: "from REDIS_URL"}, nil
	}
	program, ok := findRedis(ctx)
	if !ok {
		return startMiniRedis(cfg)
	}
	if cfg.Port != 0 {
		return startRedisServer(ctx, cfg, program, cfg.Port)
	}
	var err error
	// A free port can be taken by somebody else before the server has it.
	for range 5 {
		var port int
		if port, err = FreePort(); err != nil {
			return nil, err
		}
		var r *Redis
		if r, err = startRedisServer(ctx, cfg, program, port); err == nil {
			return r, nil
		}
	}
	return nil, err
}

func startRedisServer(ctx context.Context, cfg RedisConfig, program redisProgram, port int) (*Redis, error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making Redis's folder: %w", err)
	}
	claim := filepath.Join(dir, "redis.pid")
	if _, err := process.Reclaim(claim, ":"+strconv.Itoa(port)); err != nil {
		return nil, fmt.Errorf("Redis of an earlier run: %w", err)
	}
	if err := CheckPort("Redis", port, "--redis-port"); err != nil {
		return nil, err
	}
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
	if err := errors.Join(process.Claim(claim, server.PID()), r.await(ctx, cfg)); err != nil {
		return nil, errors.Join(err, r.Stop())
	}
	return r, nil
}

func redisArgs(cfg RedisConfig, dir string, port int) []string {
	appendOnly := "yes"
	if cfg.Volatile {
		appendOnly = "no"
	}
	return []string{
		"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", dir,
		"--appendonly", appendOnly, "--appendfsync", "everysec", "--save", "",
		"--daemonize", "no", "--logfile", "",
		// Views are no cache: a key that is evicted would be missing for good.
		"--maxmemory-policy", "noeviction",
	}
}

// await returns once the server answers with its data loaded.
func (r *Redis) await(ctx context.Context, cfg RedisConfig) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		// The client logs each failure to connect: ask it when there is something.
		err := listens(ctx, r.Port())
		if err == nil {
			err = checkRedis(ctx, r.URL)
		}
		if err == nil {
			return nil
		}
		select {
		case <-r.server.Done():
			return fmt.Errorf("Redis ended at once: %w; it said: %s", r.server.Err(), tail(cfg.Log))
		case <-ctx.Done():
			return fmt.Errorf("Redis does not answer: %w", err)
		case <-tick.C:
		}
	}
}

// PID is the server's process id, 0 if it was not started here as a process.
func (r *Redis) PID() int {
	if r.server == nil {
		return 0
	}
	return r.server.PID()
}

// Started tells whether it was started here, as a process or within this one.
func (r *Redis) Started() bool { return r.server != nil || r.mini != nil }

// Port is where the server listens, 0 if its URL does not say.
func (r *Redis) Port() int { return portOf(r.URL) }

// PublicURL is the URL for people to see, without a password.
func (r *Redis) PublicURL() string { return publicURL(r.URL) }

// Done is closed when the server that was started here ends; nil otherwise.
func (r *Redis) Done() <-chan struct{} {
	if r.server == nil {
		return nil
	}
	return r.server.Done()
}

// Err says how the server that was started here ended. Only after Done.
func (r *Redis) Err() error {
	if r.server == nil {
		return nil
	}
	return r.server.Err()
}

// Mini is the miniredis behind it, nil if it is another Redis.
func (r *Redis) Mini() *miniredis.Miniredis {
	if r.mini == nil {
		return nil
	}
	return r.mini.server
}

// Stop ends what StartRedis started.
func (r *Redis) Stop() error {
	switch {
	case r == nil:
		return nil
	case r.mini != nil:
		r.mini.stop()
		return nil
	case r.server != nil:
		return r.server.Stop(syscall.SIGTERM, 10*time.Second)
	default:
		return nil
	}
}

// OpenRedis connects to a URL as the functions do: a cluster when the URL
// names further addresses by addr=.
func OpenRedis(dsn string) (redis.UniversalClient, error) {
	if isClusterURL(dsn) {
		options, err := redis.ParseClusterURL(dsn)
		if err != nil {
			return nil, fmt.Errorf("REDIS_URL: %w", err)
		}
		options.DialerRetries = 1
		return redis.NewClusterClient(options), nil
	}
	options, err := redis.ParseURL(dsn)
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL: %w", err)
	}
	// Who waits for a server asks again anyway.
	options.DialerRetries = 1
	return redis.NewClient(options), nil
}
