package cli_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/millrace/millrace/functions"
	"github.com/millrace/millrace/infra/invariants"
)

// TestRebuild rebuilds a Redis that was flushed, and then one that was tampered
// with, while events are decided: in the end it shows what PostgreSQL has.
func TestRebuild(t *testing.T) {
	s := decided(t)
	const agents = 1200 // more than are read at a time
	var events []string
	for n := range agents {
		events = append(events, status(n, 0))
	}
	s.decide(t, events...)

	for _, damage := range []func() error{
		func() error { return s.redis.FlushAll(t.Context()).Err() },
		func() error {
			return s.redis.HSet(t.Context(), "millrace:{acme:agent:agent-7}", "status", "gone").Err()
		},
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for round := 1; ; round++ {
				select {
				case <-stop:
					return
				default:
					s.decide(t, status(round%agents, round), status(agents+round, round))
				}
			}
		}()
		for range 2 {
			if code, out := run(t, "views", "rebuild"); code != 0 || !strings.Contains(out, "entities and sums anew") {
				t.Errorf("status %d: %s", code, out)
			}
		}
		close(stop)
		<-stopped
		s.same(t)
	}

	if err := s.redis.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if code, out := run(t, "views", "rebuild", "--function", "agent", "--tenant", "acme"); code != 0 {
		t.Errorf("one tenant: status %d: %s", code, out)
	}
	s.same(t)
	if code, out := run(t, "views", "rebuild", "--function", "agents"); code != 2 {
		t.Errorf("no function: status %d: %s", code, out)
	}
}

// status is an event of an agent; each round has its own.
func status(agent, round int) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":"%d-%d","source":"/desk","type":"agent.signed-in.v1","subject":"agent-%d",`+
		`"tenantid":"acme","time":"2026-11-24T09:00:00Z","data":{"features":{"round":%t}}}`, agent, round, agent, round%2 == 0)
}

// same fails unless Redis shows what PostgreSQL has.
func (s *stores) same(t *testing.T) {
	t.Helper()
	report, err := invariants.Verify(t.Context(), invariants.Deps{Pool: s.pool, Redis: s.redis, Functions: functions.All()})
	if err != nil {
		t.Fatal(err)
	}
	if !report.Holds() || report.Checked.Views == 0 || report.Checked.Busy > 0 {
		t.Error(report.String())
	}
}
