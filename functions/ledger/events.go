package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/money"
)

const (
	maxPostings    = 100 // of one entry
	maxAccount     = 128 // characters of its name
	maxDescription = 500 // characters
)

// PostedV1 is the payload of ledger.posted.v1.
type PostedV1 struct {
	Description string    `json:"description"`
	Postings    []Posting `json:"postings"`
}

// Validate implements function.Payload.
func (p PostedV1) Validate() error {
	if err := function.CheckOptionalText("description", p.Description, maxDescription); err != nil {
		return err
	}
	if n := len(p.Postings); n < 2 || n > maxPostings {
		return fmt.Errorf("%d postings, want 2 to %d", n, maxPostings)
	}
	sums := map[money.Currency]money.Decimal{}
	for i, line := range p.Postings {
		if err := line.validate(); err != nil {
			return fmt.Errorf("posting %d: %w", i+1, err)
		}
		sums[line.Currency] = sums[line.Currency].Add(line.Amount)
	}
	for _, currency := range slices.Sorted(maps.Keys(sums)) {
		if sum := sums[currency]; !sum.IsZero() {
			return fmt.Errorf("the postings in %s sum to %s, not 0", currency, sum)
		}
	}
	return nil
}

func (l Posting) validate() error {
	if err := cmp.Or(
		function.CheckText("account", l.Account, maxAccount),
		function.CheckText("currency", string(l.Currency), 3),
	); err != nil {
		return err
	}
	if l.Amount.IsZero() {
		return errors.New("amount is missing or 0")
	}
	if !l.Currency.Fits(l.Amount) {
		return fmt.Errorf("amount %s has more than the %d digits after the point of %s",
			l.Amount, l.Currency.MinorUnits(), l.Currency)
	}
	return nil
}

// ReversedV1 is the payload of ledger.reversed.v1.
type ReversedV1 struct {
	Entry string `json:"entry"` // id of the event that posted it
}

// Validate implements function.Payload.
func (p ReversedV1) Validate() error { return function.CheckReference("entry", p.Entry) }
