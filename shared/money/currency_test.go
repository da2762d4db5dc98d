package money

import "testing"

func TestCurrency(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]int{
		"JPY": 0, "KRW": 0, "USD": 2, "EUR": 2, "PKR": 2, "BHD": 3, "IQD": 3, "CLF": 4, "VES": 2, "DEM": 2,
	} {
		c, err := ParseCurrency(code)
		if err != nil || c.MinorUnits() != want {
			t.Errorf("%s has %d minor units, %v; want %d", code, c.MinorUnits(), err, want)
		}
	}
	for _, code := range []string{"", "US", "USDX", "usd", "Usd", " USD", "ABC", "ZZZ", "XXX", "XTS", "XAU", "US$", "\x00\x00\x00"} {
		if c, err := ParseCurrency(code); err == nil {
			t.Errorf("ParseCurrency(%q) = %s; want an error", code, c)
		}
	}
}

func TestCurrencyFits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		currency Currency
		amount   string
		want     bool
	}{
		{"JPY", "100", true},
		{"JPY", "100.00", true},
		{"JPY", "100.5", false},
		{"USD", "0.01", true},
		{"USD", "0.010", true},
		{"USD", "0.001", false},
		{"BHD", "-0.001", true},
		{"BHD", "0.0005", false},
	} {
		if got := c.currency.Fits(MustParse(c.amount)); got != c.want {
			t.Errorf("%s fits %s: %t, want %t", c.amount, c.currency, got, c.want)
		}
	}
}
