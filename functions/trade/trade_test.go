package trade

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function/functiontest"
)

const (
	account = "acct-1"
	source  = "/desk"
)

func executed(id, data string) *event.Event {
	return functiontest.Event("trade.executed.v1", account, source, id, data)
}

func amended(id, data string) *event.Event {
	return functiontest.Event("trade.amended.v1", account, source, id, data)
}

func cancelled(id, trade string) *event.Event {
	return functiontest.Event("trade.cancelled.v1", account, source, id, fmt.Sprintf(`{"trade":%q}`, trade))
}

// TestWhatATradeTells shows what position and ledger get to hear.
func TestWhatATradeTells(t *testing.T) {
	t.Parallel()
	fold := functiontest.NewFold(New(), account)
	for _, step := range []struct {
		event *event.Event
		want  []string
	}{
		{executed("1", `{"instrument":"AAPL","side":"buy","quantity":"100","price":"187.265","currency":"USD","fee":"1.25"}`), []string{
			`position.fill-booked.v1 position/acct-1/1 {"instrument":"AAPL","side":"buy","quantity":"100","price":"187.265","currency":"USD"}`,
			`ledger.posted.v1 ledger/acct-1/1 {"description":"buy 100 AAPL at 187.265","postings":[` +
				`{"account":"acct-1","currency":"USD","amount":"-18726.5"},{"account":"house","currency":"USD","amount":"18726.5"},` +
				`{"account":"acct-1","currency":"USD","amount":"-1.25"},{"account":"house:fees","currency":"USD","amount":"1.25"}]}`,
		}},
		{executed("2", `{"instrument":"7203","side":"sell","quantity":"3","price":"100.5","currency":"JPY"}`), []string{
			`position.fill-booked.v1 position/acct-1/2 {"instrument":"7203","side":"sell","quantity":"3","price":"100.5","currency":"JPY"}`,
			`ledger.posted.v1 ledger/acct-1/2 {"description":"sell 3 7203 at 100.5","postings":[` + // 301.5: half to even
				`{"account":"acct-1","currency":"JPY","amount":"302"},{"account":"house","currency":"JPY","amount":"-302"}]}`,
		}},
		{executed("3", `{"instrument":"CLK0","side":"buy","quantity":"2","price":"-37.63","currency":"USD"}`), []string{
			`position.fill-booked.v1 position/acct-1/3 {"instrument":"CLK0","side":"buy","quantity":"2","price":"-37.63","currency":"USD"}`,
			`ledger.posted.v1 ledger/acct-1/3 {"description":"buy 2 CLK0 at -37.63","postings":[` +
				`{"account":"acct-1","currency":"USD","amount":"75.26"},{"account":"house","currency":"USD","amount":"-75.26"}]}`,
		}},
		{executed("4", `{"instrument":"GIFT","side":"buy","quantity":"1","price":"0","currency":"USD","fee":"0.00"}`), []string{
			`position.fill-booked.v1 position/acct-1/4 {"instrument":"GIFT","side":"buy","quantity":"1","price":"0","currency":"USD"}`,
		}},
		{amended("5", `{"trade":"1","quantity":"90","price":"187.265"}`), []string{ // the fee stays
			`position.fill-amended.v1 position/acct-1/5 {"fill":"position/acct-1/1","quantity":"90","price":"187.265"}`,
			`ledger.reversed.v1 ledger/acct-1/4 {"entry":"ledger/acct-1/1"}`,
			`ledger.posted.v1 ledger/acct-1/5 {"description":"buy 90 AAPL at 187.265","postings":[` +
				`{"account":"acct-1","currency":"USD","amount":"-16853.85"},{"account":"house","currency":"USD","amount":"16853.85"},` +
				`{"account":"acct-1","currency":"USD","amount":"-1.25"},{"account":"house:fees","currency":"USD","amount":"1.25"}]}`,
		}},
		{amended("6", `{"trade":"2","quantity":"3","price":"100.5","fee":"1"}`), []string{ // only the fee: the fill stays
			`ledger.reversed.v1 ledger/acct-1/6 {"entry":"ledger/acct-1/2"}`,
			`ledger.posted.v1 ledger/acct-1/7 {"description":"sell 3 7203 at 100.5","postings":[` +
				`{"account":"acct-1","currency":"JPY","amount":"302"},{"account":"house","currency":"JPY","amount":"-302"},` +
				`{"account":"acct-1","currency":"JPY","amount":"-1"},{"account":"house:fees","currency":"JPY","amount":"1"}]}`,
		}},
		{amended("7", `{"trade":"4","quantity":"2","price":"0"}`), []string{
			`position.fill-amended.v1 position/acct-1/6 {"fill":"position/acct-1/4","quantity":"2","price":"0"}`,
		}},
		{cancelled("8", "1"), []string{
			`position.fill-cancelled.v1 position/acct-1/7 {"fill":"position/acct-1/1"}`,
			`ledger.reversed.v1 ledger/acct-1/8 {"entry":"ledger/acct-1/5"}`,
		}},
		{cancelled("9", "4"), []string{
			`position.fill-cancelled.v1 position/acct-1/8 {"fill":"position/acct-1/4"}`,
		}},
	} {
		got := functiontest.Emitted(fold.Apply(t, step.event))
		if strings.Join(got, "\n") != strings.Join(step.want, "\n") {
			t.Errorf("%s %s emits\n%s\nwant\n%s", step.event.Type, step.event.Data, strings.Join(got, "\n"), strings.Join(step.want, "\n"))
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	const trade = `{"instrument":"AAPL","side":"buy","quantity":"1","price":"1","currency":"USD","fee":"1"}`
	fold := functiontest.NewFold(New(), account)
	fold.Apply(t, executed("1", trade))
	fold.Apply(t, executed("2", trade))
	fold.Apply(t, cancelled("3", "2"))
	others := cancelled("9", "1")
	others.Source = "/elsewhere"
	nines := strings.Repeat("9", 38)
	for _, c := range []struct {
		event *event.Event
		want  string
	}{
		{cancelled("4", "0"), "trade-unknown"},
		{cancelled("5", "3"), "trade-unknown"}, // an event, but no execution
		{others, "trade-unknown"},
		{cancelled("6", "2"), "trade-cancelled"},
		{amended("7", `{"trade":"2","quantity":"1","price":"2"}`), "trade-cancelled"},
		{amended("8", `{"trade":"1","quantity":"1.0","price":"1.00"}`), "trade-unchanged"},
		{amended("10", `{"trade":"1","quantity":"1","price":"1","fee":"0.001"}`), "fee-too-fine"},
		{amended("11", `{"trade":"1","quantity":"`+nines+`","price":"2"}`), "amount-too-large"},
		{executed("12", `{"instrument":"AAPL","side":"buy","quantity":"1","price":"1","currency":"JPY","fee":"0.5"}`), "fee-too-fine"},
		{executed("13", `{"instrument":"AAPL","side":"buy","quantity":"2","price":"`+nines+`","currency":"USD"}`), "amount-too-large"},
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

func TestHouseDoesNotTrade(t *testing.T) {
	t.Parallel()
	for _, subject := range []string{"house", "house:fees"} {
		e := executed("1", `{"instrument":"AAPL","side":"buy","quantity":"1","price":"1","currency":"USD"}`)
		e.Subject = subject
		if _, refusal := functiontest.NewFold(New(), subject).Decide(t, e); refusal != "house-account" {
			t.Errorf("%s was refused with %q", subject, refusal)
		}
	}
}

// history draws trades, and amendments and cancellations of earlier ones,
// cancelled or not, and of nothing.
func history(t *rapid.T) []*event.Event {
	amount := rapid.SampledFrom([]string{"1", "3", "0.1", "10.01", "0.000000000000000001", "12345678901234567890"})
	events := make([]*event.Event, rapid.IntRange(1, 30).Draw(t, "events"))
	for i := range events {
		id := fmt.Sprint(i)
		earlier := fmt.Sprint(rapid.IntRange(0, i).Draw(t, "earlier"))
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			events[i] = amended(id, fmt.Sprintf(`{"trade":%q,"quantity":%q,"price":%q}`,
				earlier, amount.Draw(t, "quantity"), amount.Draw(t, "price")))
		case 1:
			events[i] = cancelled(id, earlier)
		default:
			events[i] = executed(id, fmt.Sprintf(`{"instrument":"A","side":"buy","quantity":%q,"price":%q,"currency":"USD","fee":%q}`,
				amount.Draw(t, "quantity"), amount.Draw(t, "price"), rapid.SampledFrom([]string{"0", "1", "0.25"}).Draw(t, "fee")))
		}
		month := rapid.IntRange(0, 3).Draw(t, "month")
		events[i].Time = functiontest.Time.AddDate(0, month, 0)
	}
	return events
}
