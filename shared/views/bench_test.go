package views

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/millrace/millrace/infra/skiptest"
)

// BenchmarkApply applies 500 views of each kind at a time, each newer than the last.
// It reports the CPU time of the client (garbage collection and the making of the
// views with it) and of the server, for one view.
func BenchmarkApply(b *testing.B) {
	if server == nil {
		skiptest.Missing(b, noServer)
	}
	client := openTest(b, "redis://"+server.address)
	tenant := newTenant()
	value := strings.Repeat("v", 200)
	position := map[string]string{
		"instrument": "BTC-USD", "quantity": "12.5", "average": "64123.25", "realised": "-12.75", "currency": "USD",
	}
	for name, view := range map[string]func(i int, version int64) View{
		"hash of 5 fields": func(i int, version int64) View {
			return Hash{Key: Key(tenant, "position", strconv.Itoa(i)), Version: version, Fields: position}
		},
		"published hash of 5 fields": func(i int, version int64) View {
			return Hash{Key: Key(tenant, "published", strconv.Itoa(i)), Version: version, Fields: position, Publish: true}
		},
		"members of one set": func(i int, version int64) View {
			return Member{Key: Key(tenant, "exposure"), Member: strconv.Itoa((i*7 + int(version)*500) % 5000), Version: version, Score: float64(i), Present: true}
		},
		"bits of one bitmap": func(i int, version int64) View {
			return Bit{Key: Key(tenant, "presence"), Member: strconv.Itoa((i*7 + int(version)*500) % 5000), Version: version, On: i%2 == 0}
		},
		"new values of 50 lists": func(i int, version int64) View {
			place := int(version)*500 + i
			return Recent{
				Key: Key(tenant, "fifty", strconv.Itoa(i%50)), Member: strconv.Itoa(place), Version: 1,
				Score: float64(place), Value: value, Keep: 50, Present: true,
			}
		},
		"new values of 500 lists": func(i int, version int64) View {
			return Recent{
				Key: Key(tenant, "trades", strconv.Itoa(i)), Member: strconv.FormatInt(version, 10), Version: 1,
				Score: float64(version), Value: value, Keep: 50, Present: true,
			}
		},
		"amended values of 500 lists": func(i int, version int64) View {
			return Recent{
				Key: Key(tenant, "amended", strconv.Itoa(i)), Member: "1", Version: version,
				Score: 1, Value: value, Keep: 50, Present: true,
			}
		},
	} {
		b.Run(name, func(b *testing.B) {
			const count = 500
			views := make([]View, count)
			var version int64
			before, mine := serverCPU(b, client), clientCPU(b)
			b.ReportAllocs()
			for b.Loop() {
				version++
				for i := range views {
					views[i] = view(i, version)
				}
				result, err := Apply(b.Context(), client, views, soon())
				if err != nil || result.Count(Applied) != count {
					b.Fatal(result.Count(Applied), err)
				}
			}
			each := float64(b.N * count)
			b.ReportMetric((clientCPU(b)-mine)*1e6/each, "µs-client/view")
			b.ReportMetric((serverCPU(b, client)-before)*1e6/each, "µs-server/view")
		})
	}
}

// serverCPU is the CPU time that the server has used, in seconds.
func serverCPU(b *testing.B, client redis.UniversalClient) float64 {
	b.Helper()
	single, ok := client.(*redis.Client)
	if !ok {
		b.Fatalf("%T", client)
	}
	info, err := serverInfo(b.Context(), single, "cpu")
	if err != nil {
		b.Fatal(err)
	}
	var sum float64
	for _, name := range []string{"used_cpu_user", "used_cpu_sys"} {
		var seconds float64
		if _, err := fmt.Sscan(info[name], &seconds); err != nil {
			b.Fatal(err)
		}
		sum += seconds
	}
	return sum
}

// clientCPU is the CPU time that this process has used, in seconds.
func clientCPU(b *testing.B) float64 {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

// BenchmarkPlan is the client's own work for 500 hashes, without the network.
func BenchmarkPlan(b *testing.B) {
	views := make([]View, 500)
	for i := range views {
		views[i] = Hash{Key: Key("acme", "position", strconv.Itoa(i)), Version: 1, Fields: map[string]string{
			"instrument": "BTC-USD", "quantity": "12.5", "average": "64123.25", "realised": "-12.75", "currency": "USD",
		}}
	}
	b.ReportAllocs()
	for b.Loop() {
		p, err := newPlan(views)
		if err != nil {
			b.Fatal(err)
		}
		for _, c := range cut(p, soon(), false) {
			c.command(b.Context(), false)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(views)), "ns/view")
}
