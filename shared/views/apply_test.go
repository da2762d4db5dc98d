package views

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func TestHash(t *testing.T) {
	backends(t, func(t *subject) {
		client := t.client
		key := Key(newTenant(), "position", "acct-1")
		at := func(version int64, fields map[string]string) Outcome {
			t.Helper()
			return apply(t, client, soon(), Hash{Key: key, Version: version, Fields: fields})[0]
		}
		shows := func(want map[string]string) {
			t.Helper()
			got := client.HGetAll(t.Context(), key).Val()
			if !maps.Equal(got, want) {
				t.Fatalf("shows %v, want %v", got, want)
			}
		}
		expect(t, at(2, map[string]string{"a": "1", "b": "2"}), Applied)
		expect(t, at(2, map[string]string{"a": "1", "b": "2"}), Stale)
		expect(t, at(1, map[string]string{"z": "9"}), Stale)
		shows(map[string]string{"a": "1", "b": "2"})
		expect(t, at(3, map[string]string{"b": "3"}), Applied)
		shows(map[string]string{"b": "3"})
		expect(t, at(5, nil), Applied)
		shows(map[string]string{})
		expect(t, at(4, map[string]string{"late": "1"}), Stale)
		shows(map[string]string{})
		if ttl := client.PTTL(t.Context(), key+":v").Val(); ttl <= Lifetime || ttl > TombstoneTTL {
			t.Fatalf("tombstone expires after %v", ttl)
		}
		expect(t, at(MaxVersion-1, map[string]string{"n": ""}), Applied)
		expect(t, at(MaxVersion, map[string]string{"n": "1"}), Applied)
		expect(t, at(MaxVersion-1, map[string]string{"n": "2"}), Stale)
		shows(map[string]string{"n": "1"})
		if ttl := client.PTTL(t.Context(), key+":v").Val(); ttl != -1 {
			t.Fatalf("version of what is shown expires after %v", ttl)
		}
	})
}

// A hash has more fields than Lua's stack takes at once.
func TestLargeHash(t *testing.T) {
	backends(t, func(t *subject) {
		client := t.client
		fields := map[string]string{}
		for i := range MaxFields {
			fields[strconv.Itoa(i)] = "value"
		}
		key := Key(newTenant(), "large")
		expect(t, apply(t, client, soon(), Hash{Key: key, Version: 1, Fields: fields})[0], Applied)
		if got := client.HGetAll(t.Context(), key).Val(); !maps.Equal(got, fields) {
			t.Fatalf("%d fields", len(got))
		}
	})
}

func TestMember(t *testing.T) {
	backends(t, func(t *subject) {
		client := t.client
		key := Key(newTenant(), "exposure")
		at := func(member string, version int64, score float64, present bool) Outcome {
			t.Helper()
			return apply(t, client, soon(), Member{Key: key, Member: member, Version: version, Score: score, Present: present})[0]
		}
		shows := func(want ...string) {
			t.Helper()
			got := client.ZRange(t.Context(), key, 0, -1).Val()
			if !slices.Equal(got, want) {
				t.Fatalf("shows %v, want %v", got, want)
			}
		}
		expect(t, at("b", 1, 2, true), Applied)
		expect(t, at("a", 7, 1.5, true), Applied)
		expect(t, at("a", 6, 9, true), Stale)
		expect(t, at("a", 7, 1.5, true), Stale)
		shows("a", "b")
		expect(t, at("a", 8, -0.25, true), Applied)
		if score := client.ZScore(t.Context(), key, "a").Val(); score != -0.25 {
			t.Fatal(score)
		}
		expect(t, at("a", 9, 0, false), Applied)
		expect(t, at("a", 8, 1, true), Stale)
		shows("b")
		if client.PTTL(t.Context(), key+":v").Val() != -1 {
			t.Fatal("versions of a set that is shown expire")
		}
		expect(t, at("c", 3, 0, false), Applied)
		expect(t, at("c", 2, 1, true), Stale)
		expect(t, at("b", 2, 0, false), Applied)
		shows()
		for _, companion := range []string{":v", ":t"} {
			if ttl := client.PTTL(t.Context(), key+companion).Val(); ttl <= Lifetime || ttl > TombstoneTTL {
				t.Fatalf("%s of an empty set expires after %v", companion, ttl)
			}
		}
		expect(t, at("a", 10, 1, true), Applied)
		shows("a")
		for _, companion := range []string{":v", ":t"} {
			if ttl := client.PTTL(t.Context(), key+companion).Val(); ttl != -1 {
				t.Fatalf("%s of a set that is shown expires after %v", companion, ttl)
			}
		}
	})
}

// Tombstones go once no claim can be alive that they would have to stop.
func TestTombstonesExpire(t *testing.T) {
	backends(t, func(t *subject) {
		client := t.client
		key := Key(newTenant(), "active")
		apply(t, client, soon(),
			Member{Key: key, Member: "gone", Version: 5},
			Member{Key: key, Member: "stays", Version: 5},
			Member{Key: key, Member: "shown", Version: 5, Present: true})
		if err := client.ZAdd(t.Context(), key+":t", redis.Z{Score: 1, Member: "gone"}).Err(); err != nil {
			t.Fatal(err)
		}
		apply(t, client, soon(), Member{Key: key, Member: "shown", Version: 6, Present: true})
		versions := slices.Sorted(maps.Keys(client.HGetAll(t.Context(), key+":v").Val()))
		if !slices.Equal(versions, []string{"shown", "stays"}) {
			t.Fatal(versions)
		}
		if graves := client.ZRange(t.Context(), key+":t", 0, -1).Val(); !slices.Equal(graves, []string{"stays"}) {
			t.Fatal(graves)
		}
		// One that is shown again has none: its version would be forgotten with it.
		apply(t, client, soon(), Member{Key: key, Member: "stays", Version: 6, Present: true})
		if graves := client.ZCard(t.Context(), key+":t").Val(); graves != 0 {
			t.Fatal(graves)
		}
	})
}

func TestRecent(t *testing.T) {
	backends(t, func(t *subject) {
		client := t.client
		key := Key(newTenant(), "trades", "acct-1")
		at := func(place int, version int64, value string) Outcome {
			t.Helper()
			return apply(t, client, soon(), Recent{
				Key: key, Member: strconv.Itoa(place), Version: version,
				Score: float64(place), Value: value, Keep: 2, Present: value != "",
			})[0]
		}
		shows := func(want ...string) {
			t.Helper()
			got := client.LRange(t.Context(), key, 0, -1).Val()
			if !slices.Equal(got, want) {
				t.Fatalf("shows %v, want %v", got, want)
			}
		}
		expect(t, at(1, 1, "one"), Applied)
		expect(t, at(1, 1, "one"), Stale)
		expect(t, at(3, 1, "three"), Applied)
		expect(t, at(2, 1, "two"), Applied)
		shows("three", "two")
		expect(t, at(3, 2, "three+amended"), Applied)
		expect(t, at(3, 1, "three"), Stale)
		shows("three+amended", "two")
		expect(t, at(4, 1, "four"), Applied)
		expect(t, at(5, 1, "five"), Applied) // one falls off
		shows("five", "four")
		expect(t, at(1, 2, "one again"), Applied)
		shows("five", "four")
		expect(t, at(4, 2, ""), Applied)
		expect(t, at(4, 1, "four"), Stale)
		shows("five", "three+amended")
		expect(t, at(5, 2, ""), Applied)
		shows("three+amended", "two")
		expect(t, at(3, 3, ""), Applied) // more than Keep of the newest are gone: one short
		expect(t, at(1, 3, "one again"), Applied)
		shows("two")
		expect(t, at(2, 2, ""), Applied)
		shows()
		for _, companion := range []string{":v", ":o"} {
			if ttl := client.PTTL(t.Context(), key+companion).Val(); ttl <= Lifetime || ttl > TombstoneTTL {
				t.Fatalf("%s of an empty list expires after %v", companion, ttl)
			}
		}
		expect(t, at(6, 1, "six"), Applied)
		shows("six")
		for _, companion := range []string{":v", ":o"} {
			if ttl := client.PTTL(t.Context(), key+companion).Val(); ttl != -1 {
				t.Fatalf("%s of a list that is shown expires after %v", companion, ttl)
			}
		}
	})
}

// Past its deadline a claim writes nothing.
func TestExpired(t *testing.T) {
	backends(t, func(t *subject) {
		client := t.client
		claim := Claim{Deadline: time.Now().Add(-time.Millisecond)}
		for _, view := range oneOfEach(newTenant()) {
			expect(t, apply(t, client, claim, view)[0], Expired)
			if client.Exists(t.Context(), view.ref().key).Val() != 0 {
				t.Fatalf("%T was written", view)
			}
			expect(t, apply(t, client, soon(), view)[0], Applied)
		}
	})
}

// A deadline further away than any claim's means that this machine's clock was taken
// for the server's.
func TestDeadlineTooFar(t *testing.T) {
	backends(t, func(t *subject) {
		client := t.client
		claim := Claim{Deadline: time.Now().Add(TombstoneTTL + time.Hour)}
		result, err := Apply(t.Context(), client, oneOfEach(newTenant()), claim)
		if err == nil || !strings.Contains(err.Error(), "deadline") || result.Count(Unknown) != len(oneOfEach("")) {
			t.Fatal(result, err)
		}
		if _, err := Apply(t.Context(), client, oneOfEach(newTenant()), Claim{}); err == nil {
			t.Fatal("a claim without a deadline was applied")
		}
	})
}

// What a lost timeline wrote loses against the epoch that followed, whatever the
// versions; and what it still writes is refused.
func TestEpochs(t *testing.T) {
	backends(t, func(t *subject) {
		client := t.client
		claim := func(epoch int64) Claim { return Claim{Deadline: soon().Deadline, Epoch: epoch} }
		lost, kept, late := oneOfEach("a"), oneOfEach("b"), oneOfEach("c")
		tenant := newTenant()
		for i := range lost {
			lost[i], kept[i], late[i] = at(lost[i], tenant, 100), at(kept[i], tenant, 99), at(late[i], tenant, 101)
			expect(t, apply(t, client, claim(9), lost[i])[0], Applied)
			expect(t, apply(t, client, claim(10), kept[i])[0], Applied)
			expect(t, apply(t, client, claim(9), late[i])[0], Stale)
			expect(t, apply(t, client, claim(10), kept[i])[0], Stale)
		}
	})
}

func TestRewrite(t *testing.T) {
	backends(t, func(t *subject) {
		client := t.client
		for _, view := range oneOfEach(newTenant()) {
			key := view.ref().key
			apply(t, client, soon(), view)
			before := client.Dump(t.Context(), key).Val()
			client.Del(t.Context(), key)
			expect(t, apply(t, client, soon(), view)[0], Stale)
			claim := soon()
			claim.Rewrite = true
			expect(t, apply(t, client, claim, view)[0], Applied)
			if client.Exists(t.Context(), key).Val() != 1 || client.Dump(t.Context(), key).Val() != before {
				t.Fatalf("%T was not written again", view)
			}
		}
	})
}

// Of several views of one thing in one Apply the latest is sent.
func TestCoalesce(t *testing.T) {
	backends(t, func(t *subject) {
		client := t.client
		key := Key(newTenant(), "h")
		hash := func(version int64) View {
			return Hash{Key: key, Version: version, Fields: map[string]string{"v": strconv.FormatInt(version, 10)}}
		}
		got := apply(t, client, soon(), hash(2), hash(4), hash(3), hash(4))
		if !slices.Equal(got, []Outcome{Stale, Stale, Stale, Applied}) {
			t.Fatal(got)
		}
		if v := client.HGet(t.Context(), key, "v").Val(); v != "4" {
			t.Fatal(v)
		}
		expired := Claim{Deadline: time.Now().Add(-time.Hour)}
		got = apply(t, client, expired, hash(5), hash(6))
		if !slices.Equal(got, []Outcome{Expired, Expired}) {
			t.Fatal(got)
		}
	})
}

// A view that is unfit, or a key that Redis refuses, does not stop the others.
func TestFailuresStayAlone(t *testing.T) {
	backends(t, func(t *subject) {
		client := t.client
		tenant := newTenant()
		good := Hash{Key: Key(tenant, "good"), Version: 1, Fields: map[string]string{"a": "1"}}
		last := Hash{Key: Key(tenant, "last"), Version: 1, Fields: map[string]string{"a": "1"}}
		bad := Hash{Key: Key(tenant, "in-the-way"), Version: 1, Fields: map[string]string{"a": "1"}}
		client.LPush(t.Context(), bad.Key, "in the way")
		views := []View{
			good, bad,
			Hash{Key: "elsewhere", Version: 1},
			Hash{Key: Key(tenant, "zero")},
			Hash{Key: Key(tenant, "huge"), Version: MaxVersion + 1},
			last,
		}
		result, err := Apply(t.Context(), client, views, soon())
		if err == nil {
			t.Fatal("no error")
		}
		want := []Outcome{Applied, Failed, Failed, Failed, Failed, Applied}
		if !slices.Equal(result.Outcomes, want) {
			t.Fatal(result.Outcomes, err)
		}
	})
}

// Fault 24 and fault 1: whatever part of a claim was applied, applying it again
// settles all of it.
func TestConnectionLost(t *testing.T) {
	backends(t, func(t *subject) {
		client := t.client
		views := oneOfEach(newTenant())
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		result, err := Apply(ctx, client, views, soon())
		if err == nil || result.Count(Unknown) != len(views) {
			t.Fatal(result, err)
		}
		result, err = Apply(t.Context(), client, views, soon())
		if err != nil || !result.Settled() {
			t.Fatal(result, err)
		}
	})
}

// A server that lost its scripts is sent them again.
func TestScriptsLost(t *testing.T) {
	backends(t, func(t *subject) {
		client := t.client
		for range 3 {
			if err := client.ScriptFlush(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			result, err := Apply(t.Context(), client, oneOfEach(newTenant()), soon())
			if err != nil || result.Count(Applied) != len(result.Outcomes) {
				t.Fatal(result, err)
			}
		}
	})
}

// Many keys and many members of one key, more than one call takes.
func TestMany(t *testing.T) {
	backends(t, func(t *subject) {
		client := t.client
		tenant := newTenant()
		var views []View
		for i := range callViews + 200 {
			id := strconv.Itoa(i)
			views = append(views,
				Hash{Key: Key(tenant, "h", id), Version: 1, Fields: map[string]string{"id": id}},
				Member{Key: Key(tenant, "m"), Member: id, Version: 1, Score: float64(i), Present: true},
				Bit{Key: Key(tenant, "b"), Member: id, Version: 1, On: i%3 == 0},
				Recent{Key: Key(tenant, "r"), Member: id, Version: 1, Score: float64(i), Value: id, Keep: 10, Present: true})
		}
		result, err := Apply(t.Context(), client, views, soon())
		if err != nil || !result.Settled() { // on a busy machine the client sends again
			t.Fatal(result.Count(Applied), err)
		}
		if n := client.ZCard(t.Context(), Key(tenant, "m")).Val(); n != callViews+200 {
			t.Fatal(n)
		}
		if n := client.BitCount(t.Context(), Key(tenant, "b"), nil).Val(); n != (callViews+202)/3 {
			t.Fatal(n)
		}
		got := client.LRange(t.Context(), Key(tenant, "r"), 0, -1).Val()
		if len(got) != 10 || got[0] != strconv.Itoa(callViews+199) || got[9] != strconv.Itoa(callViews+190) {
			t.Fatal(got)
		}
	})
}

// oneOfEach is a view of each kind.
func oneOfEach(tenant string) []View {
	return []View{
		Hash{Key: Key(tenant, "h"), Version: 1, Fields: map[string]string{"a": "1"}},
		Member{Key: Key(tenant, "m"), Member: "x", Version: 1, Score: 1, Present: true},
		Bit{Key: Key(tenant, "b"), Member: "x", Version: 1, On: true},
		Recent{Key: Key(tenant, "r"), Member: "x", Version: 1, Score: 1, Value: "v", Keep: 3, Present: true},
	}
}

// at is the view as another tenant's, at another version.
func at(view View, tenant string, version int64) View {
	switch v := view.(type) {
	case Hash:
		v.Key, v.Version = Key(tenant, "h"), version
		return v
	case Member:
		v.Key, v.Version = Key(tenant, "m"), version
		return v
	case Bit:
		v.Key, v.Version = Key(tenant, "b"), version
		return v
	case Recent:
		v.Key, v.Version = Key(tenant, "r"), version
		return v
	}
	panic("unknown kind")
}

func expect(t testing.TB, got, want Outcome) {
	t.Helper()
	if got != want {
		t.Fatalf("outcome %v, want %v", got, want)
	}
}
