package trade

import (
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/money"
)

// The accounts on the other side of every entry.
const (
	house     = "house"      // takes and gives the price of trades
	houseFees = "house:fees" // earns the fees
)

// What trade tells position and ledger. Functions do not import each other: a
// test holds these types to what the receivers read.
type (
	fillBooked struct {
		Instrument string         `json:"instrument"`
		Side       Side           `json:"side"`
		Quantity   money.Decimal  `json:"quantity"`
		Price      money.Decimal  `json:"price"`
		Currency   money.Currency `json:"currency"`
	}
	fillAmended struct {
		Fill     string        `json:"fill"`
		Quantity money.Decimal `json:"quantity"`
		Price    money.Decimal `json:"price"`
	}
	fillCancelled struct {
		Fill string `json:"fill"`
	}
	posted struct {
		Description string    `json:"description"`
		Postings    []posting `json:"postings"`
	}
	posting struct {
		Account  string         `json:"account"`
		Currency money.Currency `json:"currency"`
		Amount   money.Decimal  `json:"amount"`
	}
	reversed struct {
		Entry string `json:"entry"`
	}
)

// postings returns what the ledger books for t, without amounts of 0. The
// price of the whole is rounded half to even to the currency's minor units. It
// refuses what the ledger could not read: nobody could correct the events then,
// and the ledger's stream would stop.
func (t *Trade) postings(account string) ([]posting, error) {
	if account == house || account == houseFees {
		return nil, function.Refuse("house-account", "%q is on the other side of every trade", account)
	}
	if !t.Currency.Fits(t.Fee) {
		return nil, function.Refuse("fee-too-fine", "fee %s has more than the %d digits after the point of %s",
			t.Fee, t.Currency.MinorUnits(), t.Currency)
	}
	paid := t.Quantity.Mul(t.Price).Round(t.Currency.MinorUnits())
	if !paid.InBounds() {
		return nil, function.Refuse("amount-too-large", "%s at %s make %s, more than %d digits",
			t.Quantity, t.Price, paid, money.MaxDigits)
	}
	if t.Side == Sell {
		paid = paid.Neg()
	}
	return t.pay(t.pay(nil, account, house, paid), account, houseFees, t.Fee), nil
}

func (t *Trade) pay(postings []posting, from, to string, amount money.Decimal) []posting {
	if amount.IsZero() {
		return postings
	}
	return append(postings, posting{from, t.Currency, amount.Neg()}, posting{to, t.Currency, amount})
}

// post tells the ledger to book t, and returns the id of the entry.
func (t *Trade) post(account string, postings []posting, fx *function.Effects) string {
	if len(postings) == 0 {
		return ""
	}
	description := string(t.Side) + " " + t.Quantity.String() + " " + t.Instrument + " at " + t.Price.String()
	return fx.Emit("ledger.posted.v1", account, posted{description, postings})
}

// reverse tells the ledger to take t's entry back.
func (t *Trade) reverse(account string, fx *function.Effects) {
	if t.Entry != "" {
		fx.Emit("ledger.reversed.v1", account, reversed{t.Entry})
	}
}
