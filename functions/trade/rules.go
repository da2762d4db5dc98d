package trade

import (
	"github.com/millrace/millrace/shared/function"
)

func execute(a *Account, e function.Event, p ExecutedV1, fx *function.Effects) error {
	t := &Trade{
		Instrument: p.Instrument, Side: p.Side, Quantity: p.Quantity, Price: *p.Price, Currency: p.Currency,
		State: Executed, Time: e.Time, Booked: e.Version, Version: e.Version, changed: true,
	}
	if p.Fee != nil {
		t.Fee = *p.Fee
	}
	postings, err := t.postings(e.Subject)
	if err != nil {
		return err
	}
	t.Fill = fx.Emit("position.fill-booked.v1", e.Subject, fillBooked{
		Instrument: t.Instrument, Side: t.Side, Quantity: t.Quantity, Price: t.Price, Currency: t.Currency,
	})
	t.Entry = t.post(e.Subject, postings, fx)
	a.add(e.Name(), t)
	return nil
}

func amend(a *Account, e function.Event, p AmendedV1, fx *function.Effects) error {
	t, err := a.executed(e, p.Trade)
	if err != nil {
		return err
	}
	amended := *t
	amended.Quantity, amended.Price = p.Quantity, *p.Price
	if p.Fee != nil {
		amended.Fee = *p.Fee
	}
	refill := amended.Quantity.Cmp(t.Quantity) != 0 || amended.Price.Cmp(t.Price) != 0
	if !refill && amended.Fee.Cmp(t.Fee) == 0 {
		return function.Refuse("trade-unchanged", "trade %q is so already", p.Trade)
	}
	postings, err := amended.postings(e.Subject)
	if err != nil {
		return err
	}
	if refill {
		fx.Emit("position.fill-amended.v1", e.Subject, fillAmended{
			Fill: t.Fill, Quantity: amended.Quantity, Price: amended.Price,
		})
	}
	t.reverse(e.Subject, fx)
	amended.Entry = amended.post(e.Subject, postings, fx)
	amended.Version, amended.changed = e.Version, true
	*t = amended
	return nil
}

func cancel(a *Account, e function.Event, p CancelledV1, fx *function.Effects) error {
	t, err := a.executed(e, p.Trade)
	if err != nil {
		return err
	}
	fx.Emit("position.fill-cancelled.v1", e.Subject, fillCancelled{Fill: t.Fill})
	t.reverse(e.Subject, fx)
	t.State, t.Version, t.changed = Cancelled, e.Version, true
	return nil
}

// executed returns the trade that e may change: one that e's source executed,
// and that is not cancelled.
func (a *Account) executed(e function.Event, id string) (*Trade, error) {
	t := a.Trades[e.Refers(id)]
	switch {
	case t == nil:
		return nil, function.Refuse("trade-unknown", "source %s executed no trade %q for this account", e.Source, id)
	case t.State == Cancelled:
		return nil, function.Refuse("trade-cancelled", "trade %q is cancelled", id)
	}
	return t, nil
}
