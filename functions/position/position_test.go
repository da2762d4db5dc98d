package position

import (
	"fmt"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function/functiontest"
)

const (
	account = "acct-1"
	source  = "/desk"
)

func booked(id, instrument, side, quantity, price, currency string) *event.Event {
	return functiontest.Event("position.fill-booked.v1", account, source, id, fmt.Sprintf(
		`{"instrument":%q,"side":%q,"quantity":%q,"price":%q,"currency":%q}`, instrument, side, quantity, price, currency))
}

func amended(id, fill, quantity, price string) *event.Event {
	return functiontest.Event("position.fill-amended.v1", account, source, id,
		fmt.Sprintf(`{"fill":%q,"quantity":%q,"price":%q}`, fill, quantity, price))
}

func cancelled(id, fill string) *event.Event {
	return functiontest.Event("position.fill-cancelled.v1", account, source, id, fmt.Sprintf(`{"fill":%q}`, fill))
}

// TestLifeOfAPosition follows one position through every kind of change.
func TestLifeOfAPosition(t *testing.T) {
	t.Parallel()
	fold := functiontest.NewFold(New(), account)
	for _, step := range []struct {
		event *event.Event
		want  string
	}{
		{booked("1", "AAPL", "buy", "100", "10", "USD"), "100 at 10 cost 1000 realised 0"},
		{booked("2", "AAPL", "buy", "50", "13", "USD"), "150 at 11 cost 1650 realised 0"},
		{booked("3", "AAPL", "sell", "30", "15", "USD"), "120 at 11 cost 1320 realised 120"},
		{booked("4", "AAPL", "sell", "200", "12", "USD"), "-80 at 12 cost -960 realised 240"}, // across zero
		{booked("5", "AAPL", "buy", "30", "10", "USD"), "-50 at 12 cost -600 realised 300"},   // a short gains
		{booked("6", "AAPL", "buy", "50", "13", "USD"), "0 at 0 cost 0 realised 250"},
		{amended("7", "2", "50", "10"), "0 at 0 cost 0 realised 400"},
		{cancelled("8", "4"), "200 at 10.75 cost 2150 realised 150"},
		{cancelled("9", "1"), "100 at 11.5 cost 1150 realised 150"},
		{booked("10", "AAPL", "sell", "33", "0", "USD"), "67 at 11.5 cost 770.5 realised -229.5"},
		{amended("12", "10", "99.7", "-0.01"), "0.3 at 11.5 cost 3.45 realised -997.547"},
	} {
		fold.Apply(t, step.event)
		p := stateOf(t, fold).Positions["AAPL"]
		if got := fmt.Sprintf("%s at %s cost %s realised %s", p.Quantity, p.averageCost(), p.Cost, p.Realised); got != step.want {
			t.Errorf("after %s %s: %s\nwant %s", step.event.Type, step.event.Data, got, step.want)
		}
	}
}

func stateOf(t functiontest.TB, f *functiontest.Fold) *Account {
	t.Helper()
	return &functiontest.EntityOf[Account](t, f).State
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	fold := functiontest.NewFold(New(), account)
	fold.Apply(t, booked("1", "AAPL", "buy", "1", "1", "USD"))
	fold.Apply(t, booked("2", "AAPL", "buy", "1", "1", "USD"))
	fold.Apply(t, cancelled("3", "2"))
	others := cancelled("9", "1")
	others.Source = "/elsewhere"
	for _, c := range []struct {
		event *event.Event
		want  string
	}{
		{booked("4", "AAPL", "buy", "1", "1", "EUR"), "currency-mismatch"},
		{amended("5", "0", "1", "1"), "fill-unknown"},
		{cancelled("6", "3"), "fill-unknown"}, // an event, but none that booked a fill
		{others, "fill-unknown"},
		{amended("7", "2", "2", "1"), "fill-cancelled"},
		{cancelled("8", "2"), "fill-cancelled"},
		{amended("10", "1", "1.0", "1.00"), "fill-unchanged"},
	} {
		before := fold.State(t)
		if _, got := fold.Decide(t, c.event); got != c.want {
			t.Errorf("%s %s was refused with %q, want %q", c.event.Type, c.event.Data, got, c.want)
		}
		if after := fold.State(t); after != before {
			t.Errorf("a refusal changed the state from %s to %s", before, after)
		}
	}
}

func TestFillTooOld(t *testing.T) {
	t.Parallel()
	fold := functiontest.NewFold(New(), account)
	for n := range maxDepth + 1 {
		fold.Apply(t, booked(fmt.Sprint(n), "AAPL", "buy", "1", "1", "USD"))
	}
	if _, refusal := fold.Decide(t, cancelled("a", "0")); refusal != "fill-too-old" {
		t.Errorf("refused with %q", refusal)
	}
	fold.Apply(t, cancelled("b", "1"))
	if q := stateOf(t, fold).Positions["AAPL"].Quantity.String(); q != fmt.Sprint(maxDepth) {
		t.Errorf("quantity %s", q)
	}
}

// TestCurrencyOfCancelledFills: a first trade with a wrong currency must not
// close the instrument to the account for good.
func TestCurrencyOfCancelledFills(t *testing.T) {
	t.Parallel()
	fold := functiontest.NewFold(New(), account)
	fold.Apply(t, booked("1", "VOD.L", "buy", "1", "1", "EUR"))
	fold.Apply(t, cancelled("2", "1"))
	fold.Apply(t, booked("3", "VOD.L", "buy", "1", "1", "GBP"))
	fold.Apply(t, cancelled("4", "3"))
	fold.Apply(t, booked("5", "VOD.L", "buy", "1", "1", "EUR"))
	p := stateOf(t, fold).Positions["VOD.L"]
	if p.Currency != "EUR" || fmt.Sprint(p.FormerCurrencies) != "[GBP]" {
		t.Errorf("currency %s, formerly %v", p.Currency, p.FormerCurrencies)
	}
	got := fmt.Sprintf("%+v", render(functiontest.EntityOf[Account](t, fold))[1:])
	want := `[{Key:millrace:{acme:exposure:EUR} Member:acct-1/VOD.L Version:5 Score:1 Present:true}` +
		` {Key:millrace:{acme:exposure:GBP} Member:acct-1/VOD.L Version:5 Score:1 Present:false}]`
	if got != want {
		t.Errorf("views %s\nwant  %s", got, want)
	}
}

// history draws events about two instruments: bookings, amendments and
// cancellations of what was booked before, cancelled or not, and of nothing.
func history(t *rapid.T) []*event.Event {
	quantity := rapid.SampledFrom([]string{"1", "2", "3", "7", "0.3", "100", "0.000000000000000001",
		"33.333333333333333333", "99999999999999999999.999999999999999999"})
	price := rapid.SampledFrom([]string{"0", "1", "3", "10.01", "-37.63", "0.333333333333333333",
		"12345678901234567890.123456789012345678"})
	events := make([]*event.Event, rapid.IntRange(1, 40).Draw(t, "events"))
	for i := range events {
		id := fmt.Sprint(i)
		earlier := fmt.Sprint(rapid.IntRange(0, i).Draw(t, "earlier"))
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			events[i] = amended(id, earlier, quantity.Draw(t, "quantity"), price.Draw(t, "price"))
		case 1:
			events[i] = cancelled(id, earlier)
		default:
			events[i] = booked(id, rapid.SampledFrom([]string{"A", "B"}).Draw(t, "instrument"),
				rapid.SampledFrom([]string{"buy", "sell"}).Draw(t, "side"),
				quantity.Draw(t, "quantity"), price.Draw(t, "price"),
				rapid.SampledFrom([]string{"USD", "USD", "USD", "EUR"}).Draw(t, "currency"))
		}
	}
	return events
}

func TestPositionsAgreeWithNaiveRecomputation(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		fold := functiontest.NewFold(New(), account)
		for _, e := range history(t) {
			fold.Decide(t, e)
			for instrument, p := range stateOf(t, fold).Positions {
				checkPosition(t, instrument, p)
			}
		}
	})
}

func checkPosition(t *rapid.T, instrument string, p *Position) {
	n := recompute(p.Fills)
	if p.Quantity.String() != text(n.quantity) || p.Cost.String() != text(n.cost) || p.Realised.String() != text(n.realised) {
		t.Fatalf("%s: quantity %s, cost %s, realised %s\nwant quantity %s, cost %s, realised %s", instrument,
			p.Quantity, p.Cost, p.Realised, text(n.quantity), text(n.cost), text(n.realised))
	}
	if paid := p.Cost.Sub(p.Realised); paid.String() != text(n.paid) {
		t.Fatalf("%s: cost - realised is %s, but %s was paid", instrument, paid, text(n.paid))
	}
	if int(p.Booked) != len(p.Fills) || int(p.Live) != n.live {
		t.Fatalf("%s: %d fills, %d live; want %d, %d", instrument, p.Booked, p.Live, len(p.Fills), n.live)
	}
}

// naive is a position in rational numbers.
type naive struct {
	quantity, cost, realised, paid *big.Rat
	live                           int
}

// recompute computes a position from all its fills. It takes each fill apart
// into what closes and what opens, by another way than Holding.with.
func recompute(fills []*Fill) naive {
	n := naive{new(big.Rat), new(big.Rat), new(big.Rat), new(big.Rat), 0}
	for _, f := range fills {
		if f.State == Cancelled {
			continue
		}
		n.live++
		quantity, price := rational(f.Quantity.String()), rational(f.Price.String())
		if f.Side == Sell {
			quantity.Neg(quantity)
		}
		n.paid.Add(n.paid, new(big.Rat).Mul(quantity, price))
		opens := new(big.Rat).Set(quantity)
		if after := new(big.Rat).Add(n.quantity, quantity); after.Sign()*n.quantity.Sign() <= 0 && n.quantity.Sign() != 0 {
			// All is closed. What it brought in is cost with the opposite sign.
			brought := new(big.Rat).Mul(n.quantity, price)
			n.realised.Add(n.realised, brought.Sub(brought, n.cost))
			n.quantity, n.cost, opens = new(big.Rat), new(big.Rat), after
		} else if quantity.Sign()*n.quantity.Sign() < 0 {
			share := new(big.Rat).Quo(quantity, n.quantity)
			out := halfEven(share.Mul(share.Neg(share), n.cost))
			n.cost.Sub(n.cost, out)
			n.realised.Sub(n.realised, new(big.Rat).Add(new(big.Rat).Mul(quantity, price), out))
			n.quantity, opens = after, new(big.Rat)
		}
		n.quantity.Add(n.quantity, opens)
		n.cost.Add(n.cost, opens.Mul(opens, price))
	}
	return n
}

func rational(decimal string) *big.Rat {
	r, _ := new(big.Rat).SetString(decimal)
	return r
}

// halfEven rounds to 18 digits after the point.
func halfEven(r *big.Rat) *big.Rat {
	unit := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(18), nil))
	x := new(big.Rat).Mul(r, unit)
	lower := new(big.Int).Div(x.Num(), x.Denom())
	rest := new(big.Rat).Sub(x, new(big.Rat).SetInt(lower))
	if c := rest.Cmp(big.NewRat(1, 2)); c > 0 || c == 0 && lower.Bit(0) == 1 {
		lower.Add(lower, big.NewInt(1))
	}
	return x.Quo(x.SetInt(lower), unit)
}

// text writes a number of at most 36 digits after the point as money does.
func text(r *big.Rat) string {
	s := r.FloatString(36)
	for s[len(s)-1] == '0' {
		s = s[:len(s)-1]
	}
	if s[len(s)-1] == '.' {
		s = s[:len(s)-1]
	}
	return s
}

func TestRulesAreDeterministic(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		one, two := functiontest.NewFold(New(), account), functiontest.NewFold(New(), account)
		for _, e := range history(t) {
			_, a := one.Decide(t, e)
			_, b := two.Decide(t, e)
			if a != b {
				t.Fatalf("%s is refused with %q and %q", e.Data, a, b)
			}
		}
		if one.State(t) != two.State(t) {
			t.Fatalf("the states are %s\nand %s", one.State(t), two.State(t))
		}
	})
}
