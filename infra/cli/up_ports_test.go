package cli

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/millrace/millrace/infra/stack"
)

func TestTakenPortsComeWithTheCommandThatAvoidsThem(t *testing.T) {
	t.Parallel()
	taken := func() int {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ln.Close() })
		return int(netip.MustParseAddrPort(ln.Addr().String()).Port())
	}
	a := &app{data: "/data"}
	one := stack.CheckPorts(stack.PostgresPort(taken()))
	several := stack.CheckPorts(stack.KafkaPort(taken()), stack.KafkaPort(taken()), stack.RedisPort(taken()))
	for _, test := range []struct {
		err  error
		task bool
		want string
	}{
		{one, true, "\nwith free ports: go tool task up -- --postgres-port 0"},
		{one, false, " --dir /data up --postgres-port 0"},
		{several, true, "\nwith free ports: go tool task up -- --kafka-port 0 --redis-port 0"},
	} {
		err := a.elsewhere(test.err, upOptions{FollowParent: test.task})
		if text := err.Error(); !strings.HasPrefix(text, test.err.Error()) || !strings.HasSuffix(text, test.want) {
			t.Errorf("it lacks %q: %v", test.want, err)
		}
	}
	if other := errors.New("another"); a.elsewhere(other, upOptions{}) != other { //nolint:errorlint // the same, unwrapped
		t.Error("an error about something else is changed")
	}
}
