package ledger

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/function/functiontest"
	"github.com/millrace/millrace/shared/money"
)

const (
	account = "acct-1"
	source  = "/desk"
)

func posted(id, data string) *event.Event {
	return functiontest.Event("ledger.posted.v1", account, source, id, data)
}

func reversed(id, entry string) *event.Event {
	return functiontest.Event("ledger.reversed.v1", account, source, id, fmt.Sprintf(`{"entry":%q}`, entry))
}

const cash = `{"postings":[{"account":"acct-1","currency":"USD","amount":"-10.50"},{"account":"house","currency":"USD","amount":"10.5"}]}`

func TestRefusals(t *testing.T) {
	t.Parallel()
	fold := functiontest.NewFold(New(), account)
	fold.Apply(t, posted("1", cash))
	fold.Apply(t, posted("2", cash))
	fold.Apply(t, reversed("3", "2"))
	others := reversed("9", "1")
	others.Source = "/elsewhere"
	for _, c := range []struct {
		event *event.Event
		want  string
	}{
		{reversed("4", "0"), "entry-unknown"},
		{others, "entry-unknown"},
		{reversed("5", "2"), "entry-reversed"},
		{reversed("6", "3"), "entry-is-reversal"},
	} {
		before := fold.State(t)
		fx, got := fold.Decide(t, c.event)
		if got != c.want || len(fx.Deltas) != 0 {
			t.Errorf("%s %s was refused with %q, want %q", c.event.Type, c.event.Data, got, c.want)
		}
		if after := fold.State(t); after != before {
			t.Errorf("a refusal changed the state from %s to %s", before, after)
		}
	}
}

// history draws entries of two to six postings in two currencies, and reversals
// of earlier ones.
func history(t *rapid.T) []*event.Event {
	events := make([]*event.Event, rapid.IntRange(1, 30).Draw(t, "events"))
	for i := range events {
		id := fmt.Sprint(i)
		if rapid.IntRange(0, 2).Draw(t, "kind") == 0 {
			events[i] = reversed(id, fmt.Sprint(rapid.IntRange(0, i).Draw(t, "earlier")))
		} else {
			events[i] = posted(id, drawEntry(t))
		}
		events[i].Time = functiontest.Time.AddDate(0, rapid.IntRange(0, 3).Draw(t, "month"), 0)
	}
	return events
}

func drawEntry(t *rapid.T) string {
	accounts := rapid.SampledFrom([]string{"acct-1", "acct-2", "house", `{"x"}'; --`})
	amounts := rapid.SampledFrom([]string{"1", "-1", "250", "-33", "99999999999999999999999999999999999999"})
	p := PostedV1{Description: "drawn"}
	sums := map[money.Currency]money.Decimal{}
	for range rapid.IntRange(1, 4).Draw(t, "postings") {
		line := Posting{accounts.Draw(t, "account"), rapid.SampledFrom([]money.Currency{"USD", "JPY"}).Draw(t, "currency"),
			money.MustParse(amounts.Draw(t, "amount"))}
		p.Postings = append(p.Postings, line)
		sums[line.Currency] = sums[line.Currency].Add(line.Amount)
	}
	for _, currency := range []money.Currency{"USD", "JPY"} {
		if sum := sums[currency]; !sum.IsZero() {
			p.Postings = append(p.Postings, Posting{accounts.Draw(t, "against"), currency, sum.Neg()})
		}
	}
	if p.Validate() != nil { // too large a sum, or one posting only
		return cash
	}
	for _, line := range p.Postings {
		if !line.Amount.InBounds() {
			return cash
		}
	}
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestAlwaysBalanced(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		fold := functiontest.NewFold(New(), account)
		balances := map[string]money.Decimal{}
		for _, e := range history(t) {
			fx, _ := fold.Decide(t, e)
			total := map[string]money.Decimal{}
			for _, d := range fx.Deltas {
				total[d.Field] = total[d.Field].Add(d.Amount)
				balances[d.Key+" "+d.Field] = balances[d.Key+" "+d.Field].Add(d.Amount)
			}
			for currency, sum := range total {
				if !sum.IsZero() {
					t.Fatalf("%s %s changes what there is of %s by %s", e.Type, e.Data, currency, sum)
				}
			}
		}
		checkBalances(t, balances, &functiontest.EntityOf[Journal](t, fold).State)
	})
}

// checkBalances compares balances with the sums of all postings, and every
// reversed entry with its opposite.
func checkBalances(t *rapid.T, balances map[string]money.Decimal, j *Journal) {
	left := maps.Clone(balances)
	for name, e := range j.Entries {
		for i, line := range e.Postings {
			key := line.Account + " " + string(line.Currency)
			left[key] = left[key].Sub(line.Amount)
			if e.ReversedBy == "" {
				continue
			}
			opposite := j.Entries[function.Name{Source: name.Source, ID: e.ReversedBy}]
			if opposite.Reverses != name.ID || !opposite.Postings[i].Amount.Add(line.Amount).IsZero() {
				t.Fatalf("entry %s is not taken back by %s", name.ID, e.ReversedBy)
			}
		}
	}
	for key, amount := range left {
		if !amount.IsZero() {
			t.Fatalf("the balance of %s is %s off its postings", key, amount)
		}
	}
}
