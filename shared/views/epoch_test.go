package views

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

func flushAll(t testing.TB, client redis.UniversalClient) {
	t.Helper()
	err := eachMaster(t.Context(), client, func(ctx context.Context, master *redis.Client) error {
		return master.FlushAll(ctx).Err()
	})
	if err != nil {
		t.Fatal(err)
	}
}

func mismatched(t testing.TB, client redis.UniversalClient, epoch int64, want int) []Master {
	t.Helper()
	masters, err := CheckEpoch(t.Context(), client, epoch)
	if err != nil || len(masters) != want {
		t.Fatalf("%d masters mismatch, want %d: %v %v", len(masters), want, masters, err)
	}
	return masters
}

// begun are the masters that mismatch, with their rebuild begun.
func begun(t testing.TB, client redis.UniversalClient, epoch int64, want int) []Master {
	t.Helper()
	masters, err := Begin(t.Context(), client, epoch, mismatched(t, client, epoch, want)...)
	if err != nil {
		t.Fatal(err)
	}
	return masters
}

func setEpoch(t testing.TB, client redis.UniversalClient, masters []Master) {
	t.Helper()
	if err := SetEpoch(t.Context(), client, masters...); err != nil {
		t.Fatal(err)
	}
}

// Fault 21: a flushed Redis is found and rebuilt.
func TestFlushed(t *testing.T) {
	isolated(t, func(t *subject) {
		client, count := t.client, t.masters
		views := manyOfEach(newTenant())
		apply(t, client, soon(), views...)
		setEpoch(t, client, begun(t, client, 1, count))
		mismatched(t, client, 1, 0)

		flushAll(t, client)
		masters := begun(t, client, 1, count)
		rebuild := soon()
		rebuild.Rewrite = true
		for _, master := range masters {
			var here []View
			for _, view := range views {
				if master.Holds(KeyOf(view)) {
					here = append(here, view)
				}
			}
			if count > 1 && (len(here) == 0 || len(here) == len(views)) {
				t.Fatalf("%s holds %d of %d", master.Address, len(here), len(views))
			}
			apply(t, client, rebuild, here...)
		}
		if found, err := Diff(t.Context(), client, views); err != nil || len(found) > 0 {
			t.Fatal(found, err)
		}
		setEpoch(t, client, masters)
		mismatched(t, client, 1, 0)
	})
}

// A flush in the middle of a rebuild leaves the replication id. Of two rebuilds at
// once the later one may end what both have shown.
func TestFlushedWhileRebuilt(t *testing.T) {
	isolated(t, func(t *subject) {
		client, count := t.client, t.masters
		refused := func(masters []Master) {
			t.Helper()
			for _, master := range masters {
				if err := SetEpoch(t.Context(), client, master); err == nil {
					t.Fatal("what is flushed counts as rebuilt")
				}
			}
			mismatched(t, client, 1, count)
		}
		first := begun(t, client, 1, count)
		reach(t, client, "there", first)
		flushAll(t, client)
		refused(first)
		if err := Reach(t.Context(), client, "further", first...); err == nil {
			t.Fatal("what is flushed is rebuilt on")
		}

		second, third := begun(t, client, 1, count), begun(t, client, 1, count)
		refused(first)
		late := mismatched(t, client, 1, count)
		setEpoch(t, client, second)
		reach(t, client, "there", third)
		setEpoch(t, client, third)
		if masters, err := Begin(t.Context(), client, 1, late...); err != nil || len(masters) > 0 {
			t.Fatal("it begins again: ", masters, err)
		}
		mismatched(t, client, 1, 0)
		flushAll(t, client)
		refused(third)

		// A new epoch begins: the rebuild of the one before must not end that of the new.
		older, newer := begun(t, client, 1, count), begun(t, client, 2, count)
		refused(older)
		setEpoch(t, client, newer)
		mismatched(t, client, 2, 0)
	})
}

// A rebuild that is begun goes on where it was, unless it would be of something else.
func TestRebuildGoesOn(t *testing.T) {
	isolated(t, func(t *subject) {
		client, count := t.client, t.masters
		expect := func(epoch int64, want string) []Master {
			t.Helper()
			masters := begun(t, client, epoch, count)
			for _, master := range masters {
				if master.Reached() != want {
					t.Fatalf("%s reached %q, want %q", master.Address, master.Reached(), want)
				}
			}
			return masters
		}
		reach(t, client, "there", expect(1, ""))
		reach(t, client, "further", expect(1, "there"))
		setEpoch(t, client, expect(1, "further"))
		reach(t, client, "there", expect(2, ""))
		masters := mismatched(t, client, 2, count)
		masters[0].ranges = []slotRange{{0, 0}} // as if slots had moved
		masters, err := Begin(t.Context(), client, 2, masters...)
		if err != nil || masters[0].Reached() != "" {
			t.Fatal(masters, err)
		}
		flushAll(t, client)
		expect(2, "")
	})
}

func reach(t testing.TB, client redis.UniversalClient, reached string, masters []Master) {
	t.Helper()
	if err := Reach(t.Context(), client, reached, masters...); err != nil {
		t.Fatal(err)
	}
}

// A claim of a lost timeline that comes after the rebuild is removed once no more can
// come, and not before; a flush then still means a rebuild.
func TestLateClaims(t *testing.T) {
	isolated(t, func(t *subject) {
		client, count := t.client, t.masters
		later := func() {
			t.Helper()
			for _, master := range mismatched(t, client, 3, count) {
				stamp := strings.Fields(master.found)
				if err := client.Set(t.Context(), master.key, stamp[0]+" "+stamp[1]+" 1", 0).Err(); err != nil {
					t.Fatal(err)
				}
			}
		}
		setEpoch(t, client, begun(t, client, 2, count))
		apply(t, client, soon(), manyOfEach(newTenant())...)
		mismatched(t, client, 2, 0)
		later()
		late := begun(t, client, 2, count)
		for _, master := range late {
			if !master.Late() {
				t.Fatal("it is to be rebuilt")
			}
		}
		if removed, err := Prune(t.Context(), client, 2, late...); err != nil || removed == 0 {
			t.Fatal(removed, err)
		}
		setEpoch(t, client, late)
		mismatched(t, client, 2, 0)
		if found, err := Strays(t.Context(), client, "", nil); err != nil || len(found) > 0 {
			t.Fatal(found, err)
		}

		flushAll(t, client)
		setEpoch(t, client, begun(t, client, 2, count))
		later()
		late = mismatched(t, client, 2, count)
		flushAll(t, client)
		if begun, err := Begin(t.Context(), client, 2, late...); err != nil || len(begun) > 0 {
			t.Fatal("what is flushed is only pruned: ", begun, err)
		}
		for _, master := range mismatched(t, client, 2, count) {
			if master.Late() {
				t.Fatal("what is flushed is only to be pruned")
			}
		}
	})
}

// Fault 22: PostgreSQL failed over, lost the last versions, and uses them again.
func TestDatabaseFailedOver(t *testing.T) {
	isolated(t, func(t *subject) {
		client, count := t.client, t.masters
		tenant := newTenant()
		claim := func(epoch int64) Claim { return Claim{Deadline: soon().Deadline, Epoch: epoch, Rewrite: true} }
		kept := oneOfEach(tenant)
		lost := []View{
			Hash{Key: Key(tenant, "lost"), Version: 1, Fields: map[string]string{"a": "1"}},
			Member{Key: Key(tenant, "m"), Member: "lost", Version: 1, Present: true},
			Member{Key: Key(tenant, "m"), Member: "lost and removed", Version: 1},
			Bit{Key: Key(tenant, "b"), Member: "lost", Version: 1, On: true},
			Bit{Key: Key(tenant, "lost-bits"), Member: "lost", Version: 1, On: true},
			Recent{Key: Key(tenant, "r"), Member: "lost", Version: 1, Score: 9, Value: "lost", Keep: 3, Present: true},
			Recent{Key: Key(tenant, "lost-list"), Member: "lost", Version: 1, Score: 9, Value: "lost", Keep: 3, Present: true},
		}
		for _, view := range kept {
			lost = append(lost, at(view, tenant, 50))
		}
		apply(t, client, claim(1), lost...)
		setEpoch(t, client, begun(t, client, 1, count))

		masters := begun(t, client, 2, count)
		apply(t, client, claim(2), kept...)
		removed, err := Prune(t.Context(), client, 2, masters...)
		if err != nil || removed != 6 {
			t.Fatal(removed, err)
		}
		setEpoch(t, client, masters)
		mismatched(t, client, 2, 0)
		if found, err := Diff(t.Context(), client, kept); err != nil || len(found) > 0 {
			t.Fatal(found, err)
		}
		if found, err := Strays(t.Context(), client, "", kept); err != nil || len(found) > 0 {
			t.Fatal(found, err)
		}
		left := client.HGetAll(t.Context(), Key(tenant, "m")+":v").Val()
		if len(left) != 1 {
			t.Fatal(left)
		}
		if removed, err := Prune(t.Context(), client, 2, masters...); err != nil || removed != 0 {
			t.Fatal(removed, err)
		}

		// A process that does not know yet of the new epoch.
		_, err = CheckEpoch(t.Context(), client, 1)
		if behind := (*EpochBehindError)(nil); !errors.As(err, &behind) || behind.Redis != 2 || behind.Database != 1 {
			t.Fatal(err)
		}
	})
}

// Fault 21: a server that comes back empty, or from a file that lacks its tail.
func TestRestarted(t *testing.T) {
	t.Parallel()
	first := ownRedis(t)
	client := openTest(t, "redis://"+first.address)
	setEpoch(t, client, begun(t, client, 1, 1))
	stored := client.Get(t.Context(), epochPrefix+"0}").Val()

	second := openTest(t, "redis://"+ownRedis(t).address)
	if err := second.Set(t.Context(), epochPrefix+"0}", stored, 0).Err(); err != nil {
		t.Fatal(err)
	}
	mismatched(t, second, 1, 1)
}

// Fault 22: Redis failed over to a replica that lacks its tail, and the old master
// is not asked any more.
func TestRedisFailedOver(t *testing.T) {
	t.Parallel()
	first, second := ownRedis(t), ownRedis(t)
	master, replica := openTest(t, "redis://"+first.address), openTest(t, "redis://"+second.address)
	host, port, _ := strings.Cut(first.address, ":")
	if err := replica.SlaveOf(t.Context(), host, port).Err(); err != nil {
		t.Fatal(err)
	}
	tenant := newTenant()
	before, after := oneOfEach(tenant), oneOfEach(tenant)
	for i := range after {
		after[i] = at(after[i], tenant, 2)
	}
	apply(t, master, soon(), before...)
	setEpoch(t, master, begun(t, master, 1, 1))
	if _, err := CheckEpoch(t.Context(), replica, 1); err == nil {
		t.Fatal("a replica was taken for a master")
	}
	if n, err := master.Do(t.Context(), "WAIT", 1, 60_000).Int(); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if err := replica.SlaveOf(t.Context(), "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	apply(t, master, soon(), after...) // lost

	masters := begun(t, replica, 1, 1)
	if found, err := Diff(t.Context(), replica, after); err != nil || len(found) == 0 {
		t.Fatal("nothing was lost: the test tests nothing", err)
	}
	apply(t, replica, soon(), after...)
	setEpoch(t, replica, masters)
	mismatched(t, replica, 1, 0)
	if found, err := Diff(t.Context(), replica, after); err != nil || len(found) != 0 {
		t.Fatal(found, err)
	}
}

func manyOfEach(tenant string) []View {
	var views []View
	for range 20 {
		// Keys of many tenants, so that they lie on all masters.
		views = append(views, oneOfEach(newTenant())...)
	}
	return append(views, oneOfEach(tenant)...)
}
