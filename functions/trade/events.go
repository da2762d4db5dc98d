package trade

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/money"
)

// ExecutedV1 is the payload of trade.executed.v1.
type ExecutedV1 struct {
	Instrument string         `json:"instrument"`
	Side       Side           `json:"side"`
	Quantity   money.Decimal  `json:"quantity"`
	Price      *money.Decimal `json:"price"`
	Currency   money.Currency `json:"currency"`
	Fee        *money.Decimal `json:"fee"` // nil: none
}

// Validate implements function.Payload.
func (p ExecutedV1) Validate() error {
	return cmp.Or(
		function.CheckText("instrument", p.Instrument, 64),
		checkSide(p.Side),
		function.CheckPositive("quantity", p.Quantity),
		function.CheckGiven("price", p.Price),
		function.CheckText("currency", string(p.Currency), 3),
		checkFee(p.Fee),
	)
}

// AmendedV1 is the payload of trade.amended.v1: what the trade should have been.
type AmendedV1 struct {
	Trade    string         `json:"trade"` // id of the event that executed it
	Quantity money.Decimal  `json:"quantity"`
	Price    *money.Decimal `json:"price"`
	Fee      *money.Decimal `json:"fee"` // nil: as before
}

// Validate implements function.Payload.
func (p AmendedV1) Validate() error {
	return cmp.Or(
		function.CheckReference("trade", p.Trade),
		function.CheckPositive("quantity", p.Quantity),
		function.CheckGiven("price", p.Price),
		checkFee(p.Fee),
	)
}

// CancelledV1 is the payload of trade.cancelled.v1: the trade never was.
type CancelledV1 struct {
	Trade  string `json:"trade"`
	Reason string `json:"reason"`
}

// Validate implements function.Payload.
func (p CancelledV1) Validate() error {
	return cmp.Or(
		function.CheckReference("trade", p.Trade),
		function.CheckOptionalText("reason", p.Reason, 500),
	)
}

func checkSide(s Side) error {
	if s != Buy && s != Sell {
		return fmt.Errorf("side is %q, want buy or sell", s)
	}
	return nil
}

func checkFee(fee *money.Decimal) error {
	if fee != nil && fee.Sign() < 0 {
		return errors.New("fee is below 0")
	}
	return nil
}
