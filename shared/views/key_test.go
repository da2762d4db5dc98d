package views

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestKey(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		tenant, kind string
		id           []string
		want         string
	}{
		{"acme", "exposure", nil, "millrace:{acme:exposure}"},
		{"acme", "position", []string{"acct-1"}, "millrace:{acme:position:acct-1}"},
		{"acme", "position", []string{"acct-1", "BTC/USD"}, "millrace:{acme:position:acct-1:BTC%2FUSD}"},
		{"a:b", "c", nil, "millrace:{a%3Ab:c}"},
		{"a", "b:c", nil, "millrace:{a:b%3Ac}"},
		{"}{", "k", []string{"\x00 %é"}, "millrace:{%7D%7B:k:%00%20%25%C3%A9}"},
		{"", "", []string{""}, "millrace:{::}"},
	} {
		if got := Key(test.tenant, test.kind, test.id...); got != test.want {
			t.Errorf("Key(%q, %q, %q) = %q, want %q", test.tenant, test.kind, test.id, got, test.want)
		}
	}
}

// No two different ids have the same key, and nothing in an id moves the hash tag
// (fault 34).
func TestKeysDoNotCollide(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.StringOf(rapid.SampledFrom([]rune("a:{}% \x00é3A")))
		parts := rapid.SliceOfN(part, 2, 4)
		a, b := parts.Draw(t, "a"), parts.Draw(t, "b")
		one, two := Key(a[0], a[1], a[2:]...), Key(b[0], b[1], b[2:]...)
		if (one == two) != slices.Equal(a, b) {
			t.Fatalf("%q and %q: %s, %s", a, b, one, two)
		}
		if !wellFormed(one) {
			t.Fatal(one)
		}
	})
}
