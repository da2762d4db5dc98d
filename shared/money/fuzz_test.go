package money

import (
	"math/big"
	"regexp"
	"strings"
	"testing"
)

var plainNotation = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)

// Parse takes just what the grammar and the bounds allow, and arithmetic agrees
// with math/big.
func FuzzDecimal(f *testing.F) {
	f.Add("-12.50", "0.000000000000000003", uint8(2))
	f.Add(strings.Repeat("9", 38), "-0.0", uint8(0))
	f.Add("18446744073709551616", "1e3", uint8(18))
	f.Add("0.125", "00.5", uint8(20))
	f.Fuzz(func(t *testing.T, first, second string, scale uint8) {
		a, aOK := fuzzParse(t, first)
		b, bOK := fuzzParse(t, second)
		if !aOK || !bOK {
			return
		}
		x, y, digits := rat(t, a), rat(t, b), int(scale%40)
		for _, c := range []struct {
			does string
			got  Decimal
			want *big.Rat
		}{
			{"+", a.Add(b), new(big.Rat).Add(x, y)},
			{"-", a.Sub(b), new(big.Rat).Sub(x, y)},
			{"x", a.Mul(b), new(big.Rat).Mul(x, y)},
			{"rounded to", a.Mul(b).Round(digits), halfEven(new(big.Rat).Mul(x, y), digits)},
		} {
			if rat(t, c.got).Cmp(c.want) != 0 {
				t.Errorf("%s %s %s (%d) = %s, want %s", first, c.does, second, digits, c.got, c.want)
			}
			var back Decimal
			if err := back.Scan(c.got.String()); err != nil || back.Cmp(c.got) != 0 {
				t.Errorf("%s is read back as %s, %v", c.got, back, err)
			}
		}
		if a.Cmp(b) != x.Cmp(y) || (a.String() == b.String()) != (x.Cmp(y) == 0) {
			t.Errorf("%s and %s compare wrongly", first, second)
		}
		if !b.IsZero() {
			if got, want := rat(t, a.QuoRound(b, digits)), halfEven(new(big.Rat).Quo(x, y), digits); got.Cmp(want) != 0 {
				t.Errorf("%s / %s at %d = %s, want %s", first, second, digits, got, want)
			}
		}
	})
}

func fuzzParse(t *testing.T, text string) (Decimal, bool) {
	t.Helper()
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(text, "-"), ".")
	want := plainNotation.MatchString(text) && len(whole)+len(fraction) <= MaxDigits && len(fraction) <= MaxScale
	d, err := Parse(text)
	if (err == nil) != want {
		t.Fatalf("Parse(%q): %v, want taken: %t", text, err, want)
	}
	if err != nil {
		if len(err.Error()) > 400 {
			t.Errorf("the error of %q has %d bytes", text, len(err.Error()))
		}
		return d, false
	}
	value, ok := new(big.Rat).SetString(text)
	if !ok || rat(t, d).Cmp(value) != 0 || !d.InBounds() {
		t.Errorf("%q was read as %s", text, d)
	}
	return d, true
}
