package money

import (
	"math/big"
	"strings"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"

	"encoding/json"

	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	t.Parallel()
	nines := strings.Repeat("9", 38)
	for text, want := range map[string]string{
		"0":                    "0",
		"-0":                   "0",
		"-0.00":                "0",
		"0.50":                 "0.5",
		"12.50":                "12.5",
		"-12.050":              "-12.05",
		"100":                  "100",
		"100.00":               "100",
		"0.000000000000000001": "0.000000000000000001",
		nines:                  nines,
		"-" + nines:            "-" + nines,
		strings.Repeat("9", 20) + "." + strings.Repeat("9", 18): strings.Repeat("9", 20) + "." + strings.Repeat("9", 18),
		// Around 64 bits, where the way of reading changes.
		"9999999999999999999":  "9999999999999999999",
		"18446744073709551615": "18446744073709551615",
		"18446744073709551616": "18446744073709551616",
	} {
		d, err := Parse(text)
		if err != nil || d.String() != want {
			t.Errorf("Parse(%q) = %s, %v; want %s", text, d, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "-", ".", "-.", "+1", "1e3", "1E3", "NaN", "Infinity", "-Inf", " 1", "1 ", "1,5", "1_000",
		".5", "5.", "1..2", "1.2.3", "--1", "-+1", "00", "01.5", "0x10", "½", "١", "1\x00",
		strings.Repeat("9", 39),
		strings.Repeat("9", 21) + "." + strings.Repeat("9", 18),
		"0." + strings.Repeat("0", 18) + "1",
		strings.Repeat("9", 100_000),
	} {
		if d, err := Parse(text); err == nil {
			t.Errorf("Parse(%.50q) = %s; want an error", text, d)
		} else if len(err.Error()) > 200 {
			t.Errorf("the error of Parse(%.50q) has %d bytes", text, len(err.Error()))
		}
	}
}

func TestJSONIsAString(t *testing.T) {
	t.Parallel()
	type payload struct {
		Amount Decimal  `json:"amount"`
		Fee    *Decimal `json:"fee,omitempty"`
	}
	for name, lib := range map[string]struct {
		marshal   func(any) ([]byte, error)
		unmarshal func([]byte, any) error
	}{
		"encoding/json": {json.Marshal, json.Unmarshal},
		"json/v2": {
			func(v any) ([]byte, error) { return jsonv2.Marshal(v) },
			func(b []byte, v any) error { return jsonv2.Unmarshal(b, v) },
		},
	} {
		var p payload
		if err := lib.unmarshal([]byte(`{"amount":"-12.50","fee":null}`), &p); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if p.Amount.Cmp(MustParse("-12.5")) != 0 || p.Fee != nil {
			t.Errorf("%s read %+v", name, p)
		}
		if out, err := lib.marshal(p); err != nil || string(out) != `{"amount":"-12.5"}` {
			t.Errorf("%s wrote %s, %v", name, out, err)
		}
		for _, bad := range []string{`12.5`, `1`, `true`, `{}`, `[]`, `""`, `"1e3"`, `"NaN"`} {
			if err := lib.unmarshal([]byte(`{"amount":`+bad+`}`), &p); err == nil {
				t.Errorf("%s took %s for a decimal", name, bad)
			}
		}
	}
}

func TestScanReadsWhatRulesMake(t *testing.T) {
	t.Parallel()
	product := MustParse(strings.Repeat("9", 20) + "." + strings.Repeat("9", 18))
	product = product.Mul(product)
	var back Decimal
	if err := back.Scan(product.String()); err != nil || back.Cmp(product) != 0 {
		t.Errorf("read %s back as %s, %v", product, back, err)
	}
	if product.InBounds() {
		t.Errorf("%s is in bounds", product)
	}
	for _, bad := range []any{nil, 1.5, int64(1), "NaN", "Infinity", "1e5", strings.Repeat("9", 300)} {
		if err := back.Scan(bad); err == nil {
			t.Errorf("Scan(%v) gave %s; want an error", bad, back)
		}
	}
}

// decimals generates within Parse's bounds, with the edges often.
func decimals() *rapid.Generator[Decimal] {
	text := rapid.OneOf(
		rapid.SampledFrom([]string{"0", "1", "-1", "0.5", "-0.5", "1.50", "0.000000000000000001", strings.Repeat("9", 38)}),
		rapid.StringMatching(`-?(0|[1-9][0-9]{0,19})(\.[0-9]{1,18})?`),
		rapid.StringMatching(`-?[1-9][0-9]{0,37}`),
	)
	return rapid.Map(text, MustParse)
}

func rat(t rapid.TB, d Decimal) *big.Rat {
	r, ok := new(big.Rat).SetString(d.String())
	if !ok {
		t.Fatalf("%q is no number", d)
	}
	return r
}

func TestArithmeticAgreesWithMathBig(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := decimals().Draw(t, "a"), decimals().Draw(t, "b")
		ra, rb := rat(t, a), rat(t, b)
		textA, textB := a.String(), b.String()
		for name, c := range map[string]struct {
			got  Decimal
			want *big.Rat
		}{
			"add": {a.Add(b), new(big.Rat).Add(ra, rb)},
			"sub": {a.Sub(b), new(big.Rat).Sub(ra, rb)},
			"mul": {a.Mul(b), new(big.Rat).Mul(ra, rb)},
			"neg": {a.Neg(), new(big.Rat).Neg(ra)},
			"abs": {a.Abs(), new(big.Rat).Abs(ra)},
			// Products are beyond 128 bits: their copies share memory.
			"square": {a.Mul(b).Mul(a.Mul(b)), new(big.Rat).Mul(new(big.Rat).Mul(ra, rb), new(big.Rat).Mul(ra, rb))},
		} {
			if rat(t, c.got).Cmp(c.want) != 0 {
				t.Errorf("%s: %s, want %s", name, c.got, c.want)
			}
		}
		if a.Cmp(b) != ra.Cmp(rb) || a.Sign() != ra.Sign() {
			t.Errorf("Cmp %d, Sign %d", a.Cmp(b), a.Sign())
		}
		if a.String() != textA || b.String() != textB {
			t.Errorf("an operation changed its operands: %s is %s, %s is %s", textA, a, textB, b)
		}
	})
}

func TestRoundingAgreesWithMathBig(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := decimals().Draw(t, "a").Mul(decimals().Draw(t, "a2")), decimals().Draw(t, "b")
		scale := rapid.IntRange(0, 20).Draw(t, "scale")
		if got := rat(t, a.Round(scale)); got.Cmp(halfEven(rat(t, a), scale)) != 0 {
			t.Errorf("Round(%s, %d) = %s", a, scale, got)
		}
		if b.IsZero() {
			return
		}
		want := halfEven(new(big.Rat).Quo(rat(t, a), rat(t, b)), scale)
		if got := rat(t, a.QuoRound(b, scale)); got.Cmp(want) != 0 {
			t.Errorf("QuoRound(%s, %s, %d) = %s, want %s", a, b, scale, got, want)
		}
	})
}

// halfEven is another way to round: floor(2x), then look at its last two bits.
func halfEven(r *big.Rat, scale int) *big.Rat {
	unit := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil))
	x := new(big.Rat).Mul(r, unit)
	lower := new(big.Int).Div(x.Num(), x.Denom()) // floor, since Denom > 0
	rest := new(big.Rat).Sub(x, new(big.Rat).SetInt(lower))
	switch c := rest.Cmp(big.NewRat(1, 2)); {
	case c > 0, c == 0 && lower.Bit(0) == 1:
		lower.Add(lower, big.NewInt(1))
	}
	return new(big.Rat).Quo(new(big.Rat).SetInt(lower), unit)
}

func TestTextIsCanonical(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := decimals().Draw(t, "a")
		zero := a.Sub(a)
		padded := a.Add(MustParse("0.000000000000000000")) // the same at scale 18
		if padded.String() != a.String() || zero.String() != "0" {
			t.Errorf("%s and %s are equal, %s is 0", a, padded, zero)
		}
		if back := MustParse(a.String()); back.Cmp(a) != 0 || !a.InBounds() {
			t.Errorf("%s comes back as %s", a, back)
		}
		_, fraction, _ := strings.Cut(a.String(), ".")
		if a.Scale() != len(fraction) || strings.HasSuffix(fraction, "0") {
			t.Errorf("%s has scale %d", a, a.Scale())
		}
	})
}

func TestRoundHalfEven(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in    string
		scale int
		want  string
	}{
		{"0.5", 0, "0"}, {"1.5", 0, "2"}, {"2.5", 0, "2"}, {"-0.5", 0, "0"}, {"-1.5", 0, "-2"}, {"-2.5", 0, "-2"},
		{"0.125", 2, "0.12"}, {"0.135", 2, "0.14"}, {"0.1250001", 2, "0.13"}, {"7", 2, "7"},
	} {
		if got := MustParse(c.in).Round(c.scale).String(); got != c.want {
			t.Errorf("%s at scale %d is %s, want %s", c.in, c.scale, got, c.want)
		}
	}
}

func TestDivisionByZeroPanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	MustParse("1").QuoRound(Decimal{}, 2)
}

func BenchmarkParseMultiplyAddPrint(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		quantity, price, fee := MustParse("150"), MustParse("187.2650"), MustParse("1.25")
		_ = quantity.Mul(price).Round(2).Add(fee).String()
	}
}
