package stack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// Millrace's scripts need Redis 6.2 or newer.
const (
	minRedisMajor = 6
	minRedisMinor = 2
)

type redisProgram struct{ path, origin string }

var redisProgramVersion = regexp.MustCompile(`v=(\d+)\.(\d+)`)

// findRedis looks for redis-server, or Valkey, its fork with the same
// protocol, that is new enough.
func findRedis(ctx context.Context) (redisProgram, bool) {
	for _, name := range []string{"redis-server", "valkey-server"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		out, err := exec.CommandContext(ctx, path, "--version").Output()
		cancel()
		version := redisProgramVersion.FindStringSubmatch(string(out))
		if err != nil || version == nil || tooOld(version[1], version[2]) {
			continue
		}
		return redisProgram{path: path, origin: fmt.Sprintf("%s %s.%s", path, version[1], version[2])}, true
	}
	return redisProgram{}, false
}

func tooOld(majorText, minorText string) bool {
	major, err1 := strconv.Atoi(majorText)
	minor, err2 := strconv.Atoi(minorText)
	return err1 != nil || err2 != nil || major < minRedisMajor || (major == minRedisMajor && minor < minRedisMinor)
}

var redisServerVersion = regexp.MustCompile(`(?m)^redis_version:(\d+)\.(\d+)`)

// checkRedis refuses a server that does not answer or is too old.
func checkRedis(ctx context.Context, dsn string) (err error) {
	client, err := OpenRedis(dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	info, err := client.Info(ctx, "server").Result()
	if err != nil {
		return err
	}
	version := redisServerVersion.FindStringSubmatch(info)
	if version == nil {
		return errors.New("the server does not say its version")
	}
	if tooOld(version[1], version[2]) {
		return fmt.Errorf("the server is version %s.%s, Millrace needs %d.%d or newer", version[1], version[2], minRedisMajor, minRedisMinor)
	}
	return nil
}

func isClusterURL(dsn string) bool {
	u, err := url.Parse(dsn)
	return err == nil && u.Query().Has("addr")
}
