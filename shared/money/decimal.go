package money

import (
	"fmt"
	"strconv"

	"github.com/cockroachdb/apd/v3"
)

// Bounds of a decimal from outside, as Parse takes it.
const (
	MaxDigits = 38 // digits in all, the most that common databases' decimals hold
	MaxScale  = 18 // digits after the point
)

// Decimal is an exact decimal number: coeff / 10^scale. The zero value is 0.
//
// Decimals are values: no method changes one, so copies may share memory.
// Compare them with Cmp, since 1.5 and 1.50 are stored differently.
type Decimal struct { //nolint:recvcheck // what reads a text into one has to have its address
	_     [0]func() // forbids ==
	coeff apd.BigInt
	scale int32 // never negative
}

// Parse reads a decimal in plain notation: "-12.50". It refuses exponents, a
// plus sign, leading zeros, a point without digits on both sides, and what is
// out of bounds, counting digits as they are written.
func Parse(text string) (Decimal, error) {
	d, err := parse(text)
	if err != nil {
		return Decimal{}, err
	}
	digits := len(text)
	if d.scale > 0 {
		digits--
	}
	if text[0] == '-' {
		digits--
	}
	if digits > MaxDigits {
		return Decimal{}, fmt.Errorf("decimal %q has %d digits, %d are allowed", text, digits, MaxDigits)
	}
	if d.scale > MaxScale {
		return Decimal{}, fmt.Errorf("decimal %q has %d digits after the point, %d are allowed", text, d.scale, MaxScale)
	}
	return d, nil
}

// MustParse is Parse for constants: it panics on an error.
func MustParse(text string) Decimal {
	d, err := Parse(text)
	if err != nil {
		panic(err)
	}
	return d
}

// maxStored bounds what parse reads at all. The largest number that rules make
// of bounded ones, a sum over 2^53 events of products of two, has 93 digits.
const maxStored = 256

// parse reads plain notation of any size that a stored number may have.
func parse(text string) (Decimal, error) {
	if len(text) > maxStored {
		return Decimal{}, fmt.Errorf("decimal of %d characters, %d are allowed", len(text), MaxDigits)
	}
	digits := text
	if digits != "" && digits[0] == '-' {
		digits = digits[1:]
	}
	point := -1
	for i := range len(digits) {
		switch c := digits[i]; {
		case c == '.' && point < 0:
			point = i
		case c < '0' || c > '9':
			return Decimal{}, notPlain(text)
		}
	}
	whole := len(digits)
	if point >= 0 {
		whole = point
	}
	if whole == 0 || point == len(digits)-1 || (whole > 1 && digits[0] == '0') {
		return Decimal{}, notPlain(text)
	}
	d := Decimal{}
	if point >= 0 {
		d.scale = int32(len(digits) - 1 - point)
		digits = digits[:point] + digits[point+1:]
	}
	d.setDigits(digits)
	if text[0] == '-' {
		d = d.Neg()
	}
	return d, nil
}

func notPlain(text string) error {
	return fmt.Errorf("%.80q is no decimal in plain notation such as -12.50", text)
}

func (d *Decimal) setDigits(digits string) {
	if len(digits) <= 19 { // fits into 64 bits
		n, _ := strconv.ParseUint(digits, 10, 64)
		d.coeff.SetUint64(n)
		return
	}
	d.coeff.SetString(digits, 10)
}

// InBounds reports whether Parse takes d's text, so that d may be sent on in
// an event.
func (d Decimal) InBounds() bool {
	_, err := Parse(d.String())
	return err == nil
}

// Scale returns the number of digits after the point that d needs: 1 for 2.50.
func (d Decimal) Scale() int {
	var buf [64]byte
	text := d.append(buf[:0])
	for i, c := range text {
		if c == '.' {
			return len(text) - 1 - i
		}
	}
	return 0
}

// String returns d in plain notation, with no zeros after the last digit that
// counts: equal decimals have equal texts.
func (d Decimal) String() string {
	var buf [64]byte
	return string(d.append(buf[:0]))
}

func (d Decimal) append(dst []byte) []byte {
	start := len(dst)
	dst = d.coeff.Append(dst, 10)
	if dst[start] == '-' {
		start++
	}
	digits, scale := len(dst)-start, int(d.scale)
	for scale > 0 && digits > 0 && dst[start+digits-1] == '0' {
		digits--
		scale--
	}
	dst = dst[:start+digits]
	if digits == 0 {
		return append(dst, '0')
	}
	return insertPoint(dst, start, scale)
}

// insertPoint puts a point before the last scale digits of dst[start:], and
// zeros before them where there are not enough.
func insertPoint(dst []byte, start, scale int) []byte {
	if scale == 0 {
		return dst
	}
	for len(dst)-start <= scale {
		dst = append(dst, 0)
		copy(dst[start+1:], dst[start:])
		dst[start] = '0'
	}
	at := len(dst) - scale
	dst = append(dst, 0)
	copy(dst[at+1:], dst[at:])
	dst[at] = '.'
	return dst
}
