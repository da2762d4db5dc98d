package money

import (
	"fmt"

	"golang.org/x/text/currency"
)

// Currency is a currency code of ISO 4217, such as "EUR".
type Currency string

// ParseCurrency reads the code of a currency that amounts can be booked in, now
// or in the past. It refuses codes that ISO 4217 gives no minor unit: metals,
// bond-market units, testing and no currency.
func ParseCurrency(code string) (Currency, error) {
	if newer[code] {
		return Currency(code), nil
	}
	// ParseISO takes "eur" too: codes here are written in one way.
	if unit, err := currency.ParseISO(code); err != nil || unit.String() != code {
		return "", fmt.Errorf("%q is no currency code of ISO 4217", code)
	}
	if withoutMinorUnits[code] {
		return "", fmt.Errorf("%s has no minor unit in ISO 4217: amounts can't be booked in it", code)
	}
	return Currency(code), nil
}

// UnmarshalText implements encoding.TextUnmarshaler: it is ParseCurrency.
func (c *Currency) UnmarshalText(text []byte) (err error) {
	*c, err = ParseCurrency(string(text))
	return err
}

// MinorUnits returns how many digits after the point an amount in c may have.
// For currencies that are no more it is 2.
func (c Currency) MinorUnits() int {
	if n, ok := minorUnits[c]; ok {
		return n
	}
	return 2
}

// Fits reports whether amount is a whole number of c's minor units.
func (c Currency) Fits(amount Decimal) bool { return amount.Scale() <= c.MinorUnits() }

// minorUnits are those of ISO 4217, list one, that are not 2. The tables of
// x/text are CLDR's, which says how people write prices: it has 0 for the Iraqi
// dinar, which is booked in thousandths.
var minorUnits = map[Currency]int{
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0,
	"PYG": 0, "RWF": 0, "UGX": 0, "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
	"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
	"CLF": 4, "UYW": 4,
}

// newer are the codes that ISO 4217 has got since the tables of x/text.
var newer = map[string]bool{
	"MRU": true, "SLE": true, "UYW": true, "VED": true, "VES": true, "XAD": true, "XCG": true, "ZWG": true,
}

var withoutMinorUnits = map[string]bool{
	"XAG": true, "XAU": true, "XBA": true, "XBB": true, "XBC": true, "XBD": true,
	"XDR": true, "XPD": true, "XPT": true, "XSU": true, "XTS": true, "XUA": true, "XXX": true,
}
