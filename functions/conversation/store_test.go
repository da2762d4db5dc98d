package conversation

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function/functiontest"
	"github.com/millrace/millrace/shared/runtime"
	"github.com/millrace/millrace/shared/runtime/scenario"
	"github.com/millrace/millrace/shared/views"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

func TestPartialLoadsEqualTheWholeFold(t *testing.T) {
	t.Parallel()
	functiontest.PartialLoads(t, New(), stacktest.Postgres(t), func(t *rapid.T) []*event.Event { return drawEvents(t, 30) })
}

// TestTheWholeWay: with a real database and a real Redis, and two processes at
// work, one of which gets an event again that the other has decided, what is
// shown after every request is what counting the conversations gives.
func TestTheWholeWay(t *testing.T) {
	t.Parallel()
	database, redisURL := stacktest.Postgres(t), stacktest.Redis(t)
	limits := runtime.Limits{Drain: 10, Parked: 1000, DeadLetters: 1000}
	processes := []*scenario.World{
		scenario.New(t, New(), database, redisURL, limits), scenario.New(t, New(), database, redisURL, limits),
	}
	conn := functiontest.Connect(t, database)
	client, err := views.Open(t.Context(), redisURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	tenants := 0
	rapid.Check(t, func(t *rapid.T) {
		tenants++
		tenant := fmt.Sprint("tenant-", tenants)
		events := drawEvents(t, 25)
		for _, e := range events {
			e.TenantID = tenant
		}
		for sent := 0; sent < len(events); {
			n := rapid.IntRange(1, len(events)-sent).Draw(t, "batch")
			from := rapid.IntRange(0, sent).Draw(t, "again from")
			world := processes[rapid.IntRange(0, 1).Draw(t, "process")]
			world.Send(t.Context(), t, received(events[from:sent+n]))
			world.Relay(t.Context(), t)
			sent += n
			want := recount(tenant, events[:sent])
			compare(t, shownOf(t, client, tenant), want)
			compare(t, countsOf(t, conn, tenant), onlyCounts(want))
		}
	})
	for _, world := range processes {
		world.Verify(t)
	}
}

func received(events []*event.Event) []event.Received {
	all := make([]event.Received, len(events))
	for i, e := range events {
		all[i] = event.Received{Event: e, Raw: event.AppendJSON(nil, e)}
	}
	return all
}

// shownOf reads all that Redis shows of a tenant.
func shownOf(t *rapid.T, client redis.UniversalClient, tenant string) shows {
	got := shows{}
	for _, key := range client.Keys(t.Context(), "millrace:{"+tenant+":*}").Val() {
		if client.Type(t.Context(), key).Val() == "hash" {
			got[key] = client.HGetAll(t.Context(), key).Val()
			continue
		}
		for _, z := range client.ZRangeWithScores(t.Context(), key, 0, -1).Val() {
			got.put(key, fmt.Sprint(z.Member), fmt.Sprint(z.Score))
		}
	}
	return got
}

// countsOf reads the agents' counts from the database.
func countsOf(t *rapid.T, conn *pgx.Conn, tenant string) shows {
	const query = "SELECT agent, open, closed FROM millrace.agent_counts WHERE tenant_id = $1"
	rows, err := conn.Query(t.Context(), query, tenant)
	if err != nil {
		t.Fatal(err)
	}
	got := shows{}
	var agent, open, closed string
	_, err = pgx.ForEachRow(rows, []any{&agent, &open, &closed}, func() error {
		got[views.Key(tenant, "agent-counts", agent)] = map[string]string{"open": open, "closed": closed}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func onlyCounts(all shows) shows {
	some := shows{}
	for key, value := range all {
		if value["open"] != "" {
			some[key] = value
		}
	}
	return some
}
