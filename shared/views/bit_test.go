package views

import (
	"fmt"
	"strconv"
	"testing"

	"golang.org/x/sync/errgroup"
)

func TestBit(t *testing.T) {
	backends(t, func(t *subject) {
		client := t.client
		key := Key(newTenant(), "presence")
		at := func(member string, version int64, on bool) Outcome {
			t.Helper()
			return apply(t, client, soon(), Bit{Key: key, Member: member, Version: version, On: on})[0]
		}
		shows := func(want map[string]bool) {
			t.Helper()
			count := 0
			for member, on := range want {
				offset := client.HGet(t.Context(), key+":o", member).Val()
				n, err := strconv.ParseInt(offset, 10, 64)
				if err != nil || (client.GetBit(t.Context(), key, n).Val() == 1) != on {
					t.Fatalf("%s at offset %q is not %t", member, offset, on)
				}
				if on {
					count++
				}
			}
			if n := client.BitCount(t.Context(), key, nil).Val(); int(n) != count {
				t.Fatalf("%d bits on, want %d", n, count)
			}
		}
		expect(t, at("a", 2, true), Applied)
		expect(t, at("b", 7, false), Applied)
		expect(t, at("c", 1, true), Applied)
		shows(map[string]bool{"a": true, "b": false, "c": true})
		expect(t, at("a", 2, true), Stale)
		expect(t, at("a", 1, false), Stale)
		expect(t, at("b", 8, true), Applied)
		expect(t, at("a", 3, false), Applied)
		expect(t, at("a", 2, true), Stale)
		shows(map[string]bool{"a": false, "b": true, "c": true})
		if n := client.StrLen(t.Context(), key).Val(); n != 1 {
			t.Fatalf("three members take %d bytes", n)
		}
		for _, suffix := range []string{"", ":v", ":o"} {
			if ttl := client.PTTL(t.Context(), key+suffix).Val(); ttl != -1 {
				t.Fatalf("%q expires after %v", suffix, ttl)
			}
		}
	})
}

// However many processes see new members at once, no two get the same offset, and
// no offset is left out.
func TestOffsetsAreDense(t *testing.T) {
	backends(t, func(t *subject) {
		client := t.client
		key := Key(newTenant(), "presence")
		const members = 300
		var group errgroup.Group
		for start := range 4 {
			group.Go(func() error {
				for i := range members {
					member := fmt.Sprint((i*7 + start*31) % members)
					if _, err := Apply(t.Context(), client, []View{Bit{Key: key, Member: member, Version: 1, On: true}}, soon()); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		owners := map[string]string{}
		for member, offset := range client.HGetAll(t.Context(), key+":o").Val() {
			if n, err := strconv.Atoi(offset); member != "" && (err != nil || n >= members || owners[offset] != "") {
				t.Fatalf("%s has offset %s, and so has %q", member, offset, owners[offset])
			}
			owners[offset] = member
		}
		if n := client.BitCount(t.Context(), key, nil).Val(); n != members {
			t.Fatalf("%d of %d bits are on", n, members)
		}
	})
}

// Offsets that were lost are given anew; what the old ones had set is taken back.
func TestOffsetsLost(t *testing.T) {
	backends(t, func(t *subject) {
		client := t.client
		key := Key(newTenant(), "presence")
		bit := func(member string, on bool) View { return Bit{Key: key, Member: member, Version: 1, On: on} }
		apply(t, client, soon(), bit("gone", true), bit("on", true), bit("off", false), bit("more", true))
		client.Del(t.Context(), key+":o")
		left := []View{bit("on", true), bit("off", false)}
		rebuild := soon()
		rebuild.Rewrite = true
		apply(t, client, rebuild, left...)
		found, err := Diff(t.Context(), client, left)
		if err != nil || len(found) > 0 {
			t.Fatal(found, err)
		}
		if n := client.BitCount(t.Context(), key, nil).Val(); n != 1 {
			t.Fatalf("%d bits are on", n)
		}
	})
}
