package traffic

import (
	"fmt"
	"slices"
	"strconv"
)

// account is one that is traded for.
type account struct {
	entity

	trades, fills []deal // the last ones that stand
	entries       []string
}

// deal is a trade or a fill.
type deal struct {
	id       string
	quantity int
	listing  listing
}

// listing is an instrument, the currency that it is traded in, and about what
// it costs, in hundredths.
type listing struct {
	instrument, currency string
	price                int
}

var listings = []listing{
	{"AAPL", "USD", 22_750}, {"MSFT", "USD", 43_010}, {"NVDA", "USD", 13_180}, {"BRK.B", "USD", 47_325},
	{"SAP", "EUR", 23_460}, {"SIE", "EUR", 19_880}, {"AIR", "EUR", 15_812}, {"VOD.L", "GBP", 72},
	{"HSBA.L", "GBP", 742}, {"7203.T", "JPY", 268_900}, {"6758.T", "JPY", 295_550}, {"NESN", "CHF", 8_214},
}

// The desks that say what happens to an account.
const (
	orders     = "/oms" // order management
	backOffice = "/back-office"
)

func (s *story) newAccount(t *tenant) *account { return &account{entity: s.newEntity(t, "account")} }

func (s *story) pickAccount(t *tenant) *account {
	n := s.entity.pick(s.r)
	if t.accounts[n] == nil || t.accounts[n].over {
		t.accounts[n] = s.newAccount(t)
	}
	return t.accounts[n]
}

func (s *story) tellAccount(family string, a *account) *intent {
	switch family {
	case "trade":
		return s.tellDeal(a, &a.trades, orders, words{"trade.executed.v1", "trade.amended.v1", "trade.cancelled.v1", "trade"})
	case "position":
		return s.tellDeal(a, &a.fills, backOffice,
			words{"position.fill-booked.v1", "position.fill-amended.v1", "position.fill-cancelled.v1", "fill"})
	}
	return s.tellEntry(a)
}

// words are the types of a family of deals, and the member that names one.
type words struct{ made, amended, cancelled, names string }

func (s *story) tellDeal(a *account, known *[]deal, source string, of words) *intent {
	n := s.r.IntN(100)
	if len(*known) == 0 || n < 85 {
		return s.tellNewDeal(a, known, source, of)
	}
	at := s.r.IntN(len(*known))
	d := &(*known)[at]
	data := map[string]any{of.names: d.id}
	if n < 94 {
		d.quantity += 1 + s.r.IntN(100) // an amendment that changes nothing is refused
		data["quantity"], data["price"] = strconv.Itoa(d.quantity), s.price(d.listing)
		return s.say(&a.entity, source, of.amended, data)
	}
	*known = slices.Delete(*known, at, at+1)
	return s.say(&a.entity, source, of.cancelled, data)
}

func (s *story) tellNewDeal(a *account, known *[]deal, source string, of words) *intent {
	d := deal{quantity: 1 + s.r.IntN(1000), listing: pick(s.r, listings)}
	data := map[string]any{
		"instrument": d.listing.instrument, "currency": d.listing.currency, "side": pick(s.r, []string{"buy", "sell"}),
		"quantity": strconv.Itoa(d.quantity), "price": s.price(d.listing),
	}
	if of.names == "trade" && s.odds(80) {
		data["fee"] = amount(d.listing.currency, 50+s.r.IntN(1000))
	}
	i := s.say(&a.entity, source, of.made, data)
	d.id = i.event.ID
	*known = append(*known, d)
	if len(*known) > remembered {
		*known = slices.Delete(*known, 0, 1)
	}
	return i
}

// price is within five per cent of what the instrument costs.
func (s *story) price(of listing) string {
	hundredths := of.price - of.price/20 + s.r.IntN(of.price/10+1)
	return fmt.Sprintf("%d.%02d", hundredths/100, hundredths%100)
}

// amount writes hundredths in the currency's minor units: the yen has none.
func amount(currency string, hundredths int) string {
	if currency == "JPY" {
		return strconv.Itoa(hundredths)
	}
	return fmt.Sprintf("%d.%02d", hundredths/100, hundredths%100)
}

func (s *story) tellEntry(a *account) *intent {
	if len(a.entries) > 0 && s.odds(10) {
		n := s.r.IntN(len(a.entries))
		id := a.entries[n]
		a.entries = slices.Delete(a.entries, n, n+1)
		return s.say(&a.entity, backOffice, "ledger.reversed.v1", map[string]any{"entry": id})
	}
	currency := pick(s.r, listings).currency
	cash := amount(currency, 1+s.r.IntN(10_000_000))
	i := s.say(&a.entity, backOffice, "ledger.posted.v1", map[string]any{
		"description": pick(s.r, []string{"deposit", "dividend", "interest", "correction"}),
		"postings": []map[string]string{
			{"account": a.name, "currency": currency, "amount": cash},
			{"account": "bank", "currency": currency, "amount": "-" + cash},
		},
	})
	a.entries = append(a.entries, i.event.ID)
	if len(a.entries) > remembered {
		a.entries = slices.Delete(a.entries, 0, 1)
	}
	return i
}
