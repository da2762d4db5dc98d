package outbox

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestFailureMatrix: whichever step fails, with or without effect, publishing
// again leads to the same state, and in the meantime the other steps are done
// and not repeated.
func TestFailureMatrix(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"views", "emit", "dead letters", "drain", "delete"} {
		for _, how := range []failure{failed, tookEffect} {
			for _, again := range []string{"sweep", "publish"} {
				t.Run(fmt.Sprintf("%s %s, %s", step, how, again), func(t *testing.T) {
					t.Parallel()
					m := newMatrix(t)
					m.set(step, how)
					err := m.relay.Publish(t.Context(), m.claims)
					if err == nil {
						t.Fatal("no error")
					}
					m.check(t, step, how)
					m.set(step, none)
					if again == "publish" {
						if err := m.relay.Publish(t.Context(), m.claims); err != nil {
							t.Fatal(err)
						}
					} else if _, err := m.relay.Sweep(t.Context(), 0, 10); err != nil {
						t.Fatal(err)
					}
					mustSettle(t, m.world, m.claims...)
					m.finally(t, step, again)
				})
			}
		}
	}
}

type matrix struct {
	*world
	relay      *Relay
	claims     []Claim
	redisFault *redisFault
	rows       interface{ Store(int32) }

	mu      sync.Mutex
	drained []Stream
	drains  failure
}

func newMatrix(t *testing.T) *matrix {
	t.Helper()
	m := &matrix{world: newWorld(t), redisFault: &redisFault{}}
	client := m.newRedis(t)
	client.AddHook(m.redisFault)
	pool, rows := m.faultyPool(t)
	m.rows = rows
	m.relay = m.world.relay(func(c *RelayConfig) {
		c.Redis, c.Pool, c.Lease, c.Drain = client, pool, time.Nanosecond, m.drain
	})
	for n := range 3 {
		c := m.commit(t, change{subjects: []string{"a", subjectOf(n)}, by: 3, emits: 2, letters: []string{fmt.Sprint("letter ", n)}})
		c.Drain = []Stream{{TenantID: tenant, Subject: "a", Source: fmt.Sprint("/s/", n)}}
		text, err := jsonText(c.Drain)
		if err != nil {
			t.Fatal(err)
		}
		m.exec(t, `UPDATE millrace.outbox SET drain = $2 WHERE id = $1`, c.ID, text)
		m.claims = append(m.claims, c)
	}
	return m
}

func (m *matrix) drain(_ context.Context, function string, s Stream) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if function != "tally" {
		return fmt.Errorf("drain of %q", function)
	}
	if m.drains != failed {
		m.drained = append(m.drained, s)
	}
	if m.drains != none {
		return errFault
	}
	return nil
}

func (m *matrix) set(step string, how failure) {
	switch step {
	case "views":
		m.redisFault.mode.Store(int32(how))
	case "emit":
		m.kafka.failOn("note-events", how)
	case "dead letters":
		m.kafka.failOn("tally-events-dead-letter", how)
	case "drain":
		m.mu.Lock()
		m.drains = how
		m.mu.Unlock()
	case "delete":
		m.rows.Store(int32(how))
	}
}

// check: all but the step is done, and only the step is open.
func (m *matrix) check(t *testing.T, step string, how failure) {
	t.Helper()
	if step == "delete" {
		want := map[failure]int{failed: len(m.claims), tookEffect: 0}[how]
		var n int
		if err := m.pool.QueryRow(t.Context(), `SELECT count(*) FROM millrace.outbox`).Scan(&n); err != nil || n != want {
			t.Errorf("%d rows are left, want %d: %v", n, want, err)
		}
		return
	}
	rows, err := m.pool.Query(t.Context(), `SELECT concat_ws(',', CASE WHEN dirty IS NOT NULL THEN 'views' END,
		CASE WHEN emitted IS NOT NULL THEN 'emit' END, CASE WHEN dead_letters IS NOT NULL THEN 'dead letters' END,
		CASE WHEN drain IS NOT NULL THEN 'drain' END) FROM millrace.outbox`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var open string
		if err := rows.Scan(&open); err != nil {
			t.Fatal(err)
		}
		if n++; open != step {
			t.Errorf("a row has open %q, want %q", open, step)
		}
	}
	if n != len(m.claims) {
		t.Errorf("%d rows are left", n)
	}
	if step != "views" {
		if err := m.shows(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// finally: what was done the first time was not done again by a sweep.
func (m *matrix) finally(t *testing.T, step, again string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.claims {
		if !slices.Contains(m.drained, c.Drain[0]) {
			t.Errorf("%v is not drained", c.Drain)
		}
	}
	if again != "sweep" || step == "delete" {
		return
	}
	once := map[string]int{"emit": 12, "dead letters": 3, "drain": 3}
	got := map[string]int{"emit": m.kafka.topic("note-events"), "dead letters": m.kafka.topic("tally-events-dead-letter"), "drain": len(m.drained)}
	for name, n := range once {
		if name != step && got[name] != n {
			t.Errorf("%s: %d times, want %d", name, got[name], n)
		}
	}
}
