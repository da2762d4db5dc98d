package position

import (
	"cmp"
	"fmt"

	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/money"
)

// FillBookedV1 is the payload of position.fill-booked.v1.
type FillBookedV1 struct {
	Instrument string         `json:"instrument"`
	Side       Side           `json:"side"`
	Quantity   money.Decimal  `json:"quantity"`
	Price      *money.Decimal `json:"price"`
	Currency   money.Currency `json:"currency"`
}

// Validate implements function.Payload.
func (p FillBookedV1) Validate() error {
	return cmp.Or(
		function.CheckText("instrument", p.Instrument, 64),
		checkSide(p.Side),
		function.CheckPositive("quantity", p.Quantity),
		function.CheckGiven("price", p.Price),
		function.CheckText("currency", string(p.Currency), 3),
	)
}

// FillAmendedV1 is the payload of position.fill-amended.v1: what the fill
// should have been.
type FillAmendedV1 struct {
	Fill     string         `json:"fill"` // id of the event that booked it
	Quantity money.Decimal  `json:"quantity"`
	Price    *money.Decimal `json:"price"`
}

// Validate implements function.Payload.
func (p FillAmendedV1) Validate() error {
	return cmp.Or(
		function.CheckReference("fill", p.Fill),
		function.CheckPositive("quantity", p.Quantity),
		function.CheckGiven("price", p.Price),
	)
}

// FillCancelledV1 is the payload of position.fill-cancelled.v1: the fill never
// was.
type FillCancelledV1 struct {
	Fill string `json:"fill"`
}

// Validate implements function.Payload.
func (p FillCancelledV1) Validate() error { return function.CheckReference("fill", p.Fill) }

func checkSide(s Side) error {
	if s != Buy && s != Sell {
		return fmt.Errorf("side is %q, want buy or sell", s)
	}
	return nil
}
