// Package ledger keeps journals: entries of postings that sum to zero in each
// currency. Nothing is taken out of a journal; a reversal is an entry that
// posts the exact opposite.
//
// The entity is the journal of an account. Its entries may post to any
// account, the house's among them; what each account has is an aggregate, so
// that journals do not wait for each other.
//
// What a crash does: nothing. The package runs inside the runtime's
// transaction.
package ledger

import (
	"time"

	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/money"
	"github.com/millrace/millrace/shared/views"
)

// balance is the aggregate of what accounts have, by account and currency.
const balance = "balance"

// New returns the function.
func New() *function.Function[Journal] {
	return &function.Function[Journal]{
		Name: "ledger",
		Rules: []function.Rule[Journal]{
			function.On("ledger.posted.v1", post),
			function.On("ledger.reversed.v1", reverse),
		},
		Load:       load,
		Save:       save,
		LoadAll:    loadAll,
		Aggregates: map[string]func(function.Aggregate) []views.View{balance: renderBalance},
	}
}

// Journal is the state of an entity: those of its entries that were loaded.
type Journal struct {
	Entries map[function.Name]*Entry `json:"entries,omitempty"`
}

// Entry is one entry of a journal.
type Entry struct {
	Version     int64     `json:"version"` // of the journal, at the posting
	Description string    `json:"description,omitempty"`
	Postings    []Posting `json:"postings"`
	Time        time.Time `json:"time"`
	// The ids of the entry that this one takes back, and of the one that takes
	// this one back.
	Reverses   string `json:"reverses,omitempty"`
	ReversedBy string `json:"reversed_by,omitempty"`

	stored  bool // there is a row of it
	changed bool // the row is to be written
}

// Posting gives an account an amount, or takes it where it is below 0.
type Posting struct {
	Account  string         `json:"account"`
	Currency money.Currency `json:"currency"`
	Amount   money.Decimal  `json:"amount"`
}

// renderBalance shows what an account has in each currency.
func renderBalance(a function.Aggregate) []views.View {
	fields := make(map[string]string, len(a.Fields))
	for currency, amount := range a.Fields {
		fields[currency] = amount.String()
	}
	return []views.View{views.Hash{
		Key: views.Key(a.TenantID, "balances", a.Key), Version: a.Version, Fields: fields,
	}}
}
