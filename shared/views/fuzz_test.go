package views

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

// A key says its parts: whoever undoes the escaping gets them back, so no two
// names share a key, and none moves the hash tag.
func FuzzKey(f *testing.F) {
	f.Add("acme", "position", "account-1", "AAPL", uint8(2))
	f.Add("a:b", "c", "}{", "%3A", uint8(1))
	f.Add("", "", "", "\xff\x00", uint8(0))
	f.Fuzz(func(t *testing.T, tenant, kind, first, second string, ids uint8) {
		parts := []string{tenant, kind, first, second}[:2+ids%3]
		key := Key(tenant, kind, parts[2:]...)
		if !wellFormed(key) || strings.Count(key, "{") != 1 || strings.Count(key, "}") != 1 {
			t.Fatalf("%q is not well formed", key)
		}
		got := strings.Split(key[len(keyPrefix):len(key)-len(keySuffix)], ":")
		for n := range got {
			var err error
			if got[n], err = url.PathUnescape(got[n]); err != nil {
				t.Fatalf("%q: %v", key, err)
			}
		}
		if !slices.Equal(got, parts) {
			t.Errorf("%q says %q, not %q", key, got, parts)
		}
	})
}
