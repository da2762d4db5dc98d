package stack

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"

	"github.com/millrace/millrace/shared/views"
)

// Millrace's scripts need Redis 6.2 or newer.
const (
	minRedisMajor = 6
	minRedisMinor = 2
)

type redisProgram struct{ path, origin string }

var redisProgramVersion = regexp.MustCompile(`v=(\d+)\.(\d+)`)

// HasRedis says whether [StartRedis] starts a server, and not miniredis.
func HasRedis(ctx context.Context) bool {
	_, ok := findRedis(ctx)
	return ok
}

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

// answers refuses a server that does not answer or is too old.
func answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	client, err := views.Open(ctx, url)
	if err != nil {
		return err
	}
	return client.Close()
}
