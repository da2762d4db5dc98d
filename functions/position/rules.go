package position

import (
	"slices"

	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/money"
)

// maxDepth is how many fills an amendment folds again at most. More would hold
// up the account's other events, and the memory of a batch has a limit.
const maxDepth = 10_000

func book(a *Account, e function.Event, p FillBookedV1, _ *function.Effects) error {
	position := a.Positions[p.Instrument]
	if position != nil && position.Live > 0 && position.Currency != p.Currency {
		return function.Refuse("currency-mismatch", "the position in %s is in %s, the fill in %s",
			p.Instrument, position.Currency, p.Currency)
	}
	position = a.position(p.Instrument)
	position.turnTo(p)
	f := &Fill{
		Name: e.Name(), Instrument: p.Instrument, N: position.Booked + 1, Side: p.Side, Quantity: p.Quantity,
		Price: *p.Price, Currency: p.Currency, State: Booked, Time: e.Time, changed: true,
	}
	position.Booked++
	position.Live++
	position.Fills = append(position.Fills, f)
	a.index(f)
	position.refold(f, e.Version)
	return nil
}

// turnTo gives the position the currency of a fill. It has another one only if
// all fills in that were cancelled, as when its first trade had a wrong one.
func (p *Position) turnTo(f FillBookedV1) {
	if p.Currency == f.Currency {
		return
	}
	p.FormerCurrencies = slices.DeleteFunc(p.FormerCurrencies, func(c money.Currency) bool { return c == f.Currency })
	if p.Currency != "" {
		p.FormerCurrencies = append(p.FormerCurrencies, p.Currency)
	}
	p.Currency = f.Currency
}

func amend(a *Account, e function.Event, p FillAmendedV1, _ *function.Effects) error {
	f, err := a.booked(e, p.Fill)
	if err != nil {
		return err
	}
	if f.Quantity.Cmp(p.Quantity) == 0 && f.Price.Cmp(*p.Price) == 0 {
		return function.Refuse("fill-unchanged", "fill %q is so already", p.Fill)
	}
	f.Quantity, f.Price = p.Quantity, *p.Price
	a.Positions[f.Instrument].refold(f, e.Version)
	return nil
}

func cancel(a *Account, e function.Event, p FillCancelledV1, _ *function.Effects) error {
	f, err := a.booked(e, p.Fill)
	if err != nil {
		return err
	}
	f.State = Cancelled
	position := a.Positions[f.Instrument]
	position.Live--
	position.refold(f, e.Version)
	return nil
}

// booked returns the fill that e may change: one that e's source booked, that
// is not cancelled, and not too deep down.
func (a *Account) booked(e function.Event, id string) (*Fill, error) {
	f := a.fills[e.Refers(id)]
	switch {
	case f == nil:
		return nil, function.Refuse("fill-unknown", "source %s booked no fill %q for this account", e.Source, id)
	case f.State == Cancelled:
		return nil, function.Refuse("fill-cancelled", "fill %q is cancelled", id)
	case a.Positions[f.Instrument].Booked-f.N >= maxDepth:
		return nil, function.Refuse("fill-too-old", "over %d fills of %s were booked after fill %q", maxDepth, f.Instrument, id)
	}
	return f, nil
}

// refold computes the holdings after f and all later fills anew.
func (p *Position) refold(f *Fill, version int64) {
	at := f.N - p.Fills[0].N
	holding := p.before
	if at > 0 {
		holding = p.Fills[at-1].After
	}
	for _, f := range p.Fills[at:] {
		holding = holding.with(f)
		f.After, f.changed = holding, true
	}
	p.Holding, p.Version, p.changed = holding, version, true
}
