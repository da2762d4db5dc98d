// Package trade keeps the trades of accounts: executed, amended, cancelled.
//
// The entity is the account. A trade is named by the event that executed it,
// and only that event's source may amend or cancel it. Each decision tells the
// account's position about the fill, and the ledger about the cash: an entry
// between the account and the house, and one for the fee.
//
// What a crash does: nothing. The package runs inside the runtime's
// transaction.
package trade

import (
	"time"

	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/money"
)

// New returns the function.
func New() *function.Function[Account] {
	return &function.Function[Account]{
		Name: "trade",
		Rules: []function.Rule[Account]{
			function.On("trade.executed.v1", execute),
			function.On("trade.amended.v1", amend),
			function.On("trade.cancelled.v1", cancel),
		},
		Load:      load,
		Save:      save,
		LoadViews: loadViews,
		LoadAll:   loadAll,
		Views:     render,
	}
}

// Account is the state of an entity: those of its trades that were loaded.
type Account struct {
	Trades map[function.Name]*Trade `json:"trades,omitempty"`
}

// Side says whether the account bought or sold.
type Side string

// The sides of a trade.
const (
	Buy  Side = "buy"
	Sell Side = "sell"
)

// State says whether a trade counts.
type State string

// The states of a trade.
const (
	Executed  State = "executed"
	Cancelled State = "cancelled"
)

// Trade is one trade as it stands after its last amendment.
type Trade struct {
	Instrument string         `json:"instrument"`
	Side       Side           `json:"side"`
	Quantity   money.Decimal  `json:"quantity"`
	Price      money.Decimal  `json:"price"` // below 0 too: power and calendar spreads trade there
	Currency   money.Currency `json:"currency"`
	Fee        money.Decimal  `json:"fee"`
	State      State          `json:"state"`
	Time       time.Time      `json:"time"` // of the execution
	// Fill and Entry are the ids of the events that told position and ledger.
	// There is no entry if no amount differs from 0.
	Fill    string `json:"fill"`
	Entry   string `json:"entry,omitempty"`
	Booked  int64  `json:"booked"`  // version of the account at the execution
	Version int64  `json:"version"` // version of the account at the last change

	stored  bool // there is a row of it
	changed bool // the row is to be written
}

func (a *Account) add(name function.Name, t *Trade) {
	if a.Trades == nil {
		a.Trades = map[function.Name]*Trade{}
	}
	a.Trades[name] = t
}
