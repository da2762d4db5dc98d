package stack

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// miniRedis is a Redis in this process, for machines that have none.
type miniRedis struct {
	server *miniredis.Miniredis
	quit   chan struct{}
}

func startMiniRedis(cfg RedisConfig) (*Redis, error) {
	if err := CheckPorts(RedisPort(cfg.Port)); err != nil {
		return nil, err
	}
	m := &miniRedis{server: miniredis.NewMiniRedis(), quit: make(chan struct{})}
	if err := m.server.StartAddr(net.JoinHostPort("127.0.0.1", strconv.Itoa(cfg.Port))); err != nil {
		return nil, fmt.Errorf("starting miniredis: %w", err)
	}
	go m.passTime()
	cfg.Reporter.Note("no redis-server 6.2 or newer found: miniredis in this process stands in; it keeps nothing on disk (views are rebuilt from PostgreSQL at each start) and is 50 to 100 times slower")
	return &Redis{
		URL:    "redis://" + m.server.Addr() + "/0",
		Origin: "miniredis in this process", mini: m,
	}, nil
}

// passTime lets keys expire: in miniredis time stands still by itself.
func (m *miniRedis) passTime() {
	const step = time.Second
	tick := time.NewTicker(step)
	defer tick.Stop()
	for {
		select {
		case <-m.quit:
			return
		case <-tick.C:
			m.server.FastForward(step)
		}
	}
}

func (m *miniRedis) stop() {
	close(m.quit)
	m.server.Close()
}
