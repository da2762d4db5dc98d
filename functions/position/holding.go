package position

import "github.com/millrace/millrace/shared/money"

// costScale is to how many digits after the point the cost of a part is
// rounded. What rounding leaves stays in the cost of the rest, and goes with
// it when all is closed: nothing is lost.
const costScale = 18

// Holding is a quantity of an instrument and what it cost, on average: parts
// of it cost alike. It keeps, exactly:
//
//	Cost - Realised = sum of signed quantity x price over all fills
type Holding struct {
	Quantity money.Decimal `json:"quantity"` // below 0 if short
	Cost     money.Decimal `json:"cost"`     // of the quantity; below 0 if it was received
	Realised money.Decimal `json:"realised"` // profit from what was closed
}

// with returns h after a fill. One across zero closes all, then opens.
func (h Holding) with(f *Fill) Holding {
	if f.State == Cancelled {
		return h
	}
	change := f.Quantity
	if f.Side == Sell {
		change = change.Neg()
	}
	if h.Quantity.Sign()*change.Sign() < 0 {
		closed := change
		if change.Abs().Cmp(h.Quantity.Abs()) > 0 {
			closed = h.Quantity.Neg()
		}
		h = h.reduced(closed, f.Price)
		change = change.Sub(closed)
	}
	h.Quantity = h.Quantity.Add(change)
	h.Cost = h.Cost.Add(change.Mul(f.Price))
	return h
}

// reduced returns h after change, which is towards zero and not across.
func (h Holding) reduced(change, price money.Decimal) Holding {
	cost, quantity := h.Cost, h.Quantity.Add(change)
	if !quantity.IsZero() {
		cost = h.Cost.Mul(change.Neg()).QuoRound(h.Quantity, costScale)
	}
	proceeds := change.Neg().Mul(price)
	return Holding{
		Quantity: quantity,
		Cost:     h.Cost.Sub(cost),
		Realised: h.Realised.Add(proceeds).Sub(cost),
	}
}

// averageScale is to how many digits after the point the average cost is shown.
const averageScale = 8

// averageCost returns the cost of one, rounded, for people to see.
func (h Holding) averageCost() money.Decimal {
	if h.Quantity.IsZero() {
		return money.Decimal{}
	}
	return h.Cost.QuoRound(h.Quantity, averageScale)
}
