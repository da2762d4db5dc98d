package test_test

import (
	"testing"
	"time"

	"github.com/millrace/millrace/infra/traffic"
)

// newTraffic are settings whose events nobody has sent before, and that begin now.
func newTraffic(t *testing.T, events int) traffic.Settings {
	t.Helper()
	s := traffic.Defaults()
	s.Seed, s.Start, s.Events = uint64(time.Now().UnixNano()), time.Now(), events
	t.Logf("the traffic's seed is %d", s.Seed)
	return s
}

// ofAll is a little of every family, about few entities.
func ofAll(t *testing.T, events int) traffic.Settings {
	t.Helper()
	s := newTraffic(t, events)
	s.Tenants, s.Entities = 2, 3
	for family := range s.Mix {
		s.Mix[family] = 1
	}
	return s
}

func recordsOf(t *testing.T, s traffic.Settings) []traffic.Record {
	t.Helper()
	g, err := traffic.New(s)
	if err != nil {
		t.Fatal(err)
	}
	var all []traffic.Record
	for {
		r, more := g.Next()
		if !more {
			return all
		}
		all = append(all, r)
	}
}

// byFamily holds that there is something of every family that there is traffic of.
func byFamily(t *testing.T, all []traffic.Record) map[string][]traffic.Record {
	t.Helper()
	families := map[string][]traffic.Record{}
	for _, r := range all {
		families[r.Event.Function()] = append(families[r.Event.Function()], r)
	}
	for name := range traffic.Defaults().Mix {
		if len(families[name]) == 0 {
			t.Fatalf("the traffic has nothing of %s", name)
		}
	}
	return families
}
