package views

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

func TestOpen(t *testing.T) {
	backends(t, func(t *subject) {
		client := t.client
		if err := client.Ping(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	})
}

// A cluster is found out even if the URL names one node only.
func TestOpenFindsCluster(t *testing.T) {
	t.Parallel()
	url, _, _ := strings.Cut(cluster(t), "?")
	client := openTest(t, url)
	if _, ok := client.(*redis.ClusterClient); !ok {
		t.Fatalf("%T", client)
	}
	for i := range 10 {
		if err := client.Set(t.Context(), Key(newTenant(), fmt.Sprint(i)), "1", 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// Errors never show the password, however the URL is wrong (fault 40).
func TestOpenRedacts(t *testing.T) {
	t.Parallel()
	fake := miniredis.RunT(t)
	fake.RequireAuth("another")
	refusing := refusingAddress(t)
	for _, url := range []string{
		"redis://user:s3cr%t@host",
		"redis://user:s3cret@host:port",
		"redis://user:s3cret@ host",
		"redis://user:s3cret#@host",
		"http://user:s3cret@host",
		"redis://user:s3cret@host/no-number",
		"redis://user:s3cret@host?no_option=1",
		"redis://user:s3cret@host?addr=a&s3cret=1",
		"redis://:s3cret@" + fake.Addr(),
		"redis://:s3cret@" + refusing + "?max_retries=-1&dialer_retries=1",
		"redis://:s3cret@" + refusing + "?max_retries=-1&dialer_retries=1&addr=" + refusing,
	} {
		_, err := Open(t.Context(), url)
		if err == nil {
			t.Errorf("%s: no error", url)
			continue
		}
		if strings.Contains(err.Error(), "s3cr") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// refusingAddress is one that nobody listens at.
func refusingAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	return address
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"6.2.0": true, "7.0.15": true, "10.1": true, "6.0.9": false, "5.9.9": false, "six": false, "7.x": false,
	} {
		if got := atLeast(version, 6, 2); got != want {
			t.Errorf("%s: %v", version, got)
		}
	}
}
