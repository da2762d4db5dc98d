package functions_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/millrace/millrace/functions/ledger"
	"github.com/millrace/millrace/functions/position"
	"github.com/millrace/millrace/functions/trade"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function/functiontest"
	"github.com/millrace/millrace/shared/money"
)

const account = "acct {1}"

// TestWhatTradesTellIsUnderstood folds random trades, and what they emit into a
// position and a journal. Nothing of it may be refused, and in the end position
// and balances are those of the trades that stand.
func TestWhatTradesTellIsUnderstood(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		trades := functiontest.NewFold(trade.New(), account)
		followers := map[string]*functiontest.Fold{
			"position": functiontest.NewFold(position.New(), account),
			"ledger":   functiontest.NewFold(ledger.New(), account),
		}
		balances := map[string]money.Decimal{}
		for i := range rapid.IntRange(1, 40).Draw(t, "events") {
			fx, _ := trades.Decide(t, drawTrade(t, i))
			for _, e := range fx.Emitted {
				for _, d := range followers[e.Function()].Apply(t, e).Deltas {
					balances[d.Key+" "+d.Field] = balances[d.Key+" "+d.Field].Add(d.Amount)
				}
			}
		}
		compare(t, trades, followers["position"], balances)
	})
}

// drawTrade draws an execution in one of two instruments, each of which is
// traded in a currency of its own, or a change of an earlier one.
func drawTrade(t *rapid.T, i int) *event.Event {
	listing := rapid.SampledFrom([][2]string{{"VOD.L", "GBP"}, {"7203", "JPY"}, {"B{H}D", "BHD"}}).Draw(t, "listing")
	number := rapid.SampledFrom([]string{"1", "2", "0.5", "33.333333333333333333", "1234567890.12", "0.000000000000000001"})
	data := map[string]any{"quantity": number.Draw(t, "quantity"), "price": number.Draw(t, "price")}
	if rapid.Bool().Draw(t, "with fee") {
		data["fee"] = rapid.SampledFrom([]string{"0", "1", "3"}).Draw(t, "fee")
	}
	eventType := rapid.SampledFrom([]string{"trade.executed.v1", "trade.executed.v1", "trade.amended.v1", "trade.cancelled.v1"}).Draw(t, "type")
	switch eventType {
	case "trade.executed.v1":
		data["instrument"], data["currency"] = listing[0], listing[1]
		data["side"] = rapid.SampledFrom([]string{"buy", "sell"}).Draw(t, "side")
	case "trade.cancelled.v1":
		clear(data)
		fallthrough
	default:
		data["trade"] = fmt.Sprint(rapid.IntRange(0, i).Draw(t, "trade"))
	}
	text, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	return functiontest.Event(eventType, account, "/desk", fmt.Sprint(i), string(text))
}

// states are the parts of the states that the comparison needs.
type states struct {
	Trades map[string]struct {
		Instrument, Side, State string
		Quantity, Price, Fee    money.Decimal
		Currency                money.Currency
	}
	Positions map[string]struct {
		Quantity money.Decimal
		Live     int
	}
}

func compare(t *rapid.T, trades, positions *functiontest.Fold, balances map[string]money.Decimal) {
	var s states
	for _, text := range []string{trades.State(t), positions.State(t)} {
		if err := json.Unmarshal([]byte(text), &s); err != nil { //nolint:musttag // the names are the same
			t.Fatal(err)
		}
	}
	quantities, paid, live := map[string]money.Decimal{}, map[string]money.Decimal{}, map[string]int{}
	for _, trade := range s.Trades {
		if trade.State == "cancelled" {
			continue
		}
		quantity, price := trade.Quantity, trade.Quantity.Mul(trade.Price).Round(trade.Currency.MinorUnits())
		if trade.Side == "sell" {
			quantity, price = quantity.Neg(), price.Neg()
		}
		live[trade.Instrument]++
		quantities[trade.Instrument] = quantities[trade.Instrument].Add(quantity)
		for key, amount := range map[string]money.Decimal{
			account: price.Add(trade.Fee).Neg(), "house": price, "house:fees": trade.Fee,
		} {
			key += " " + string(trade.Currency)
			paid[key] = paid[key].Add(amount)
		}
	}
	for instrument, p := range s.Positions {
		if p.Quantity.Cmp(quantities[instrument]) != 0 || p.Live != live[instrument] {
			t.Fatalf("%s: %s in %d fills, traded %s in %d", instrument, p.Quantity, p.Live, quantities[instrument], live[instrument])
		}
	}
	for key, amount := range balances {
		if amount.Cmp(paid[key]) != 0 {
			t.Fatalf("balance of %s is %s, trades make it %s", key, amount, paid[key])
		}
	}
}
