package stack

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"

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
	// Args are more arguments of the server; they win.
	Args []string
	// Reporter is told when there is no redis-server.
	Reporter Reporter

	cluster bool // a node of one
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
		if err := answers(ctx, cfg.URL); err != nil {
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
