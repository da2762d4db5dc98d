// Package position keeps what accounts hold of each instrument: quantity, cost
// and realised profit, from the fills that were booked.
//
// The entity is the account. The fills of an instrument are folded in the
// order of booking, whatever their times. Each keeps the holding after it, so
// that an amendment or cancellation folds again from the fill before the one
// it names.
//
// What a crash does: nothing. The package runs inside the runtime's
// transaction.
package position

import (
	"time"

	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/money"
)

// New returns the function.
func New() *function.Function[Account] {
	return &function.Function[Account]{
		Name: "position",
		Rules: []function.Rule[Account]{
			function.On("position.fill-booked.v1", book),
			function.On("position.fill-amended.v1", amend),
			function.On("position.fill-cancelled.v1", cancel),
		},
		Load:      load,
		Save:      save,
		LoadViews: loadPositions,
		LoadAll:   loadAll,
		Views:     render,
	}
}

// Account is the state of an entity: those of its positions that were loaded.
type Account struct {
	Positions map[string]*Position `json:"positions,omitempty"` // by instrument

	fills map[function.Name]*Fill // all that were loaded or booked
}

// Position is what an account holds of an instrument.
type Position struct {
	Holding
	Currency money.Currency `json:"currency"`
	// FormerCurrencies are those it had before all its fills were cancelled.
	FormerCurrencies []money.Currency `json:"former_currencies,omitempty"`
	Booked           int64            `json:"booked"`  // how many fills were booked
	Live             int64            `json:"live"`    // and not cancelled
	Version          int64            `json:"version"` // of the account, at the last change
	// Fills are the last ones, without a gap up to the newest: all of them, or
	// as many as the events of the batch need.
	Fills []*Fill `json:"fills"`

	before  Holding // the one before Fills
	changed bool    // the row is to be written
}

// Fill is one fill as it stands after its last amendment.
type Fill struct {
	Name       function.Name  `json:"name"`
	Instrument string         `json:"-"`
	N          int64          `json:"n"` // counts the fills of the position, from 1
	Side       Side           `json:"side"`
	Quantity   money.Decimal  `json:"quantity"`
	Price      money.Decimal  `json:"price"` // below 0 too
	Currency   money.Currency `json:"currency"`
	State      State          `json:"state"`
	Time       time.Time      `json:"time"`
	After      Holding        `json:"after"`

	stored  bool // there is a row of it
	changed bool // the row is to be written
}

// Side says whether the account bought or sold.
type Side string

// The sides of a fill.
const (
	Buy  Side = "buy"
	Sell Side = "sell"
)

// State says whether a fill counts.
type State string

// The states of a fill.
const (
	Booked    State = "booked"
	Cancelled State = "cancelled"
)

// position returns the account's position in an instrument, or makes it.
func (a *Account) position(instrument string) *Position {
	p := a.Positions[instrument]
	if p == nil {
		p = &Position{}
		if a.Positions == nil {
			a.Positions = map[string]*Position{}
		}
		a.Positions[instrument] = p
	}
	return p
}

func (a *Account) index(f *Fill) {
	if a.fills == nil {
		a.fills = map[function.Name]*Fill{}
	}
	a.fills[f.Name] = f
}
