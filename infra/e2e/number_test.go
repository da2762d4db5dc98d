package e2e_test

import "math/big"

// minorUnits are how many digits after the point amounts of a currency have.
var minorUnits = map[string]int64{"USD": 2, "GBP": 2, "JPY": 0, "BHD": 3}

func number(text string) *big.Rat {
	n, ok := new(big.Rat).SetString(text)
	if !ok {
		panic("no number: " + text)
	}
	return n
}

// text is a member of the data, or "" if it is no text.
func (i intent) text(member string) string {
	text, _ := i.data[member].(string)
	return text
}

func (i intent) postings() []map[string]string {
	postings, _ := i.data["postings"].([]map[string]string)
	return postings
}

func newDeal(i intent) *deal {
	d := &deal{
		listing: listing{i.text("instrument"), i.text("currency")}, side: i.text("side"),
		quantity: number(i.text("quantity")), price: number(i.text("price")), fee: new(big.Rat),
	}
	if i.data["fee"] != nil {
		d.fee = number(i.text("fee"))
	}
	return d
}

// amount is what a deal costs, below zero if it is sold: rounded to what the
// currency has, half to even.
func (d *deal) amount() *big.Rat {
	exact := new(big.Rat).Mul(d.quantity, d.price)
	if d.side == "sell" {
		exact.Neg(exact)
	}
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(minorUnits[d.currency]), nil)
	exact.Mul(exact, new(big.Rat).SetInt(scale))
	whole, rest := new(big.Int).DivMod(exact.Num(), exact.Denom(), new(big.Int)) // towards minus infinity
	switch half := rest.Lsh(rest, 1).Cmp(exact.Denom()); {
	case half > 0, half == 0 && whole.Bit(0) == 1:
		whole.Add(whole, big.NewInt(1))
	}
	return new(big.Rat).SetFrac(whole, scale)
}

func fits(n *big.Rat, currency string) bool {
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(minorUnits[currency]), nil)
	return new(big.Rat).Mul(n, new(big.Rat).SetInt(scale)).IsInt()
}
