package views

import (
	"slices"
	"testing"
)

// Diff finds whatever is damaged in what is shown, and nothing when nothing is.
func TestDiff(t *testing.T) {
	backends(t, func(t *subject) {
		client := t.client
		tenant := newTenant()
		views := oneOfEach(tenant)
		h, m, b, r := Key(tenant, "h"), Key(tenant, "m"), Key(tenant, "b"), Key(tenant, "r")
		gone := []View{
			Hash{Key: Key(tenant, "gone"), Version: 4},
			Member{Key: m, Member: "gone", Version: 4},
			Recent{Key: r, Member: "gone", Version: 4, Score: 9, Keep: 3},
		}
		views = append(views, gone...)
		differences := func(want int) {
			t.Helper()
			found, err := Diff(t.Context(), client, views)
			if err != nil || len(found) != want {
				t.Fatalf("%d differences, want %d: %v %v", len(found), want, found, err)
			}
		}
		repair := soon()
		repair.Rewrite = true
		damage := func(want int, args ...any) {
			t.Helper()
			if err := client.Do(t.Context(), args...).Err(); err != nil {
				t.Fatal(err)
			}
			differences(want)
			apply(t, client, repair, views...)
			differences(0)
		}
		apply(t, client, soon(), oneOfEach(tenant)...)
		differences(1) // Recent "gone"; for the others, a tombstone may have expired
		apply(t, client, soon(), views...)
		differences(0)
		damage(1, "HSET", h, "a", "2")
		damage(1, "HSET", h, "b", "2")
		damage(1, "DEL", h)
		damage(1, "DEL", h+":v")
		damage(1, "ZADD", m, "2", "x")
		damage(1, "ZREM", m, "x")
		damage(1, "HDEL", m+":v", "x")
		damage(1, "ZADD", m, "2", "gone")
		damage(1, "HSET", m+":v", "gone", "5@0") // ahead; an earlier epoch, so repaired
		damage(1, "SETBIT", b, 0, 0)
		damage(1, "DEL", b)
		damage(1, "HDEL", b+":v", "x")
		damage(1, "DEL", b+":o")
		damage(1, "HSET", b+":v", "x", "5@0")
		damage(1, "LPUSH", r, "more")
		damage(1, "DEL", r)
		damage(1, "HDEL", r+":v", "x")
		damage(1, "HSET", Key(tenant, "gone"), "a", "1")
	})
}

func TestStrays(t *testing.T) {
	backends(t, func(t *subject) {
		client := t.client
		tenant, other := newTenant(), newTenant()
		known, all := oneOfEach(tenant), oneOfEach(tenant)
		all = append(all,
			Member{Key: Key(tenant, "m"), Member: "stray", Version: 1, Present: true},
			Bit{Key: Key(tenant, "b"), Member: "stray", Version: 1, On: true},
			Bit{Key: Key(tenant, "b"), Member: "off", Version: 1},
			Hash{Key: Key(tenant, "stray"), Version: 1, Fields: map[string]string{"a": "1"}})
		apply(t, client, soon(), all...)
		apply(t, client, soon(), oneOfEach(other)...)
		if found, err := Strays(t.Context(), client, tenant, all); err != nil || len(found) != 0 {
			t.Fatal(found, err)
		}
		found, err := Strays(t.Context(), client, tenant, known)
		if err != nil || len(found) != 3 {
			t.Fatal(found, err)
		}
		client.SetBit(t.Context(), Key(tenant, "b"), 1000, 1)
		if found, err := Strays(t.Context(), client, tenant, all); err != nil || len(found) != 1 {
			t.Fatal("a bit that is nobody's", found, err)
		}
	})
}

func TestRead(t *testing.T) {
	backends(t, func(t *subject) {
		client := t.client
		tenant := newTenant()
		want := []Member{
			{Key: Key(tenant, "m"), Member: "top", Version: 7, Score: 2, Present: true},
			{Key: Key(tenant, "m"), Member: "x", Version: 1, Score: 1, Present: true},
		}
		views := append(oneOfEach(tenant), want[0],
			Recent{Key: Key(tenant, "r"), Member: "y", Version: 1, Score: 2, Value: "w", Keep: 3, Present: true})
		apply(t, client, soon(), views...)

		hash, err := ReadHash(t.Context(), client, Key(tenant, "h"))
		if err != nil || hash.Version != 1 || hash.Fields["a"] != "1" {
			t.Fatal(hash, err)
		}
		members, err := ReadMembers(t.Context(), client, Key(tenant, "m"), 10)
		if err != nil || !slices.Equal(members, want) {
			t.Fatal(members, err)
		}
		bit, err := ReadBit(t.Context(), client, Key(tenant, "b"), "x")
		if err != nil || bit != (Bit{Key: Key(tenant, "b"), Member: "x", Version: 1, On: true}) {
			t.Fatal(bit, err)
		}
		values, err := ReadRecent(t.Context(), client, Key(tenant, "r"))
		if err != nil || !slices.Equal(values, []string{"w", "v"}) {
			t.Fatal(values, err)
		}

		if hash, err := ReadHash(t.Context(), client, Key(tenant, "none")); err != nil || hash.Version != 0 || len(hash.Fields) != 0 {
			t.Fatal(hash, err)
		}
		if members, err := ReadMembers(t.Context(), client, Key(tenant, "none"), 1); err != nil || len(members) != 0 {
			t.Fatal(members, err)
		}
		if bit, err := ReadBit(t.Context(), client, Key(tenant, "none"), "x"); err != nil || bit.Version != 0 || bit.On {
			t.Fatal(bit, err)
		}
		if values, err := ReadRecent(t.Context(), client, Key(tenant, "none")); err != nil || len(values) != 0 {
			t.Fatal(values, err)
		}
	})
}
