package money

import (
	"strconv"

	"github.com/cockroachdb/apd/v3"
)

// Add returns d + e, exactly.
func (d Decimal) Add(e Decimal) Decimal {
	a, b, scale := align(&d, &e)
	sum := Decimal{scale: scale}
	sum.coeff.Add(a, b)
	return sum
}

// Sub returns d - e, exactly.
func (d Decimal) Sub(e Decimal) Decimal {
	a, b, scale := align(&d, &e)
	difference := Decimal{scale: scale}
	difference.coeff.Sub(a, b)
	return difference
}

// Mul returns d x e, exactly.
func (d Decimal) Mul(e Decimal) Decimal {
	product := Decimal{scale: d.scale + e.scale}
	product.coeff.Mul(&d.coeff, &e.coeff)
	return product
}

// Neg returns -d.
func (d Decimal) Neg() Decimal {
	// Not coeff.Neg, which makes a negative zero of 0 (apd 3.2.3).
	return Decimal{}.Sub(d)
}

// Abs returns |d|.
func (d Decimal) Abs() Decimal {
	if d.Sign() < 0 {
		return d.Neg()
	}
	return d
}

// Cmp returns -1 if d < e, 0 if they are equal, and 1 if d > e.
func (d Decimal) Cmp(e Decimal) int {
	a, b, _ := align(&d, &e)
	return a.Cmp(b)
}

// Sign returns -1, 0 or 1.
func (d Decimal) Sign() int { return d.coeff.Sign() }

// IsZero reports whether d is 0.
func (d Decimal) IsZero() bool { return d.Sign() == 0 }

// QuoRound returns d / e rounded half to even to scale digits after the point.
// As with integers, the divisor must not be 0.
func (d Decimal) QuoRound(e Decimal, scale int) Decimal {
	if e.IsZero() {
		panic("money: division by zero")
	}
	// d/e = (dc / ec) x 10^(es - ds); the quotient wanted is that x 10^scale.
	num, den := d.coeff, e.coeff
	if shift := scale + int(e.scale) - int(d.scale); shift >= 0 {
		num = scaled(&d.coeff, shift)
	} else {
		den = scaled(&e.coeff, -shift)
	}
	quotient := Decimal{scale: int32(scale)}
	var rest apd.BigInt
	quotient.coeff.QuoRem(&num, &den, &rest)
	if roundsAway(&quotient.coeff, &rest, &den) {
		away := int64(num.Sign() * den.Sign())
		var one apd.BigInt
		quotient.coeff.Add(&quotient.coeff, one.SetInt64(away))
	}
	return quotient
}

// roundsAway reports whether rest/den is over a half, or a half beside an odd
// quotient.
func roundsAway(quotient, rest, den *apd.BigInt) bool {
	var twice apd.BigInt
	twice.Add(rest, rest)
	switch twice.CmpAbs(den) {
	case 1:
		return true
	case 0:
		return quotient.Bit(0) == 1
	}
	return false
}

// Round returns d rounded half to even to at most scale digits after the point.
func (d Decimal) Round(scale int) Decimal {
	if int(d.scale) <= scale {
		return d
	}
	return d.QuoRound(one, scale)
}

var one = MustParse("1")

// Float64 returns the double nearest to d: for ranking and for charts, never
// for an amount.
func (d Decimal) Float64() float64 {
	f, _ := strconv.ParseFloat(d.String(), 64) // a range error gives ±Inf
	return f
}

// align returns the coefficients of d and e at their larger scale. It may
// change d or e, which are the caller's copies.
func align(d, e *Decimal) (a, b *apd.BigInt, scale int32) {
	switch {
	case d.scale < e.scale:
		d.coeff = scaled(&d.coeff, int(e.scale-d.scale))
		return &d.coeff, &e.coeff, e.scale
	case d.scale > e.scale:
		e.coeff = scaled(&e.coeff, int(d.scale-e.scale))
	}
	return &d.coeff, &e.coeff, d.scale
}

// scaled returns c x 10^n.
func scaled(c *apd.BigInt, n int) apd.BigInt {
	var product apd.BigInt
	if n < len(powers) {
		product.Mul(c, &powers[n])
		return product
	}
	power := power10(n)
	product.Mul(c, &power)
	return product
}

var powers = func() (table [64]apd.BigInt) {
	for n := range table {
		table[n] = power10(n)
	}
	return table
}()

func power10(n int) apd.BigInt {
	var power, ten, exponent apd.BigInt
	power.Exp(ten.SetInt64(10), exponent.SetInt64(int64(n)), nil)
	return power
}
