package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// script is what one source means to say about one account to one function, in
// the order in which it means it.
type script struct {
	tenant, account, source string
	family                  string // the function
	sequenced               bool
	// open is the place of an event that is never sent, so that what follows is
	// parked for ever; 0 for none.
	open   int
	events []intent
}

// intent is an event as its producer means it.
type intent struct {
	id        string
	eventType string
	sequence  int64 // 0 for none
	data      map[string]any
}

// told returns the events that can be decided.
func (s *script) told() []intent {
	if s.open > 0 {
		return s.events[:s.open]
	}
	return s.events
}

// listing is an instrument and the currency that it is traded in.
type listing struct{ instrument, currency string }

var (
	listings   = []listing{{"AAPL", "USD"}, {"VOD.L", "GBP"}, {"7203", "JPY"}, {"B{H}D", "BHD"}}
	quantities = []string{"1", "2", "2.5", "10", "100", "0.0001", "33.333", "1234567"}
	prices     = []string{"12.50", "12.5", "-1.25", "0", "99.999", "1000000.01", "0.00000001", "7"}
	fees       = []string{"", "0", "1", "3", "0.005"} // the last one is too fine for most
	amounts    = []string{"1", "5", "120", "999999999"}

	tenants  = []string{"alpha", "zeta", "omega {2}"}
	accounts = []string{"acct-1", "acct-2", "acct {3}", "konto/ü", "house"}
)

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// plot is one script for each source, account and tenant.
func plot(r *rand.Rand, events int) []*script {
	var all []*script
	for _, tenant := range tenants {
		for _, account := range accounts {
			for _, of := range []struct {
				family, source string
				sequenced      bool
			}{
				{"trade", "/desk/eu", true}, {"trade", "/desk/us?x=1#y", true}, {"trade", "urn:broker:7", false},
				{"position", "/manual", true}, {"position", "/fix", false},
				{"ledger", "/books", true}, {"ledger", "/cash", false},
			} {
				all = append(all, &script{tenant: tenant, account: account, source: of.source, family: of.family, sequenced: of.sequenced})
			}
		}
	}
	for n := range events {
		s := all[n%len(all)]
		s.events = append(s.events, next(r, s))
	}
	for _, s := range all {
		if s.sequenced && len(s.events) > 4 && r.IntN(15) == 0 {
			s.open = len(s.events) - 3
		}
	}
	return all
}

// next is one more event of a script. Ids are unique within a source, as they
// must be, and repeat among sources and tenants, as they may.
func next(r *rand.Rand, s *script) intent {
	i := intent{id: fmt.Sprintf("%s #%d", s.account, len(s.events)+1)}
	if s.sequenced {
		i.sequence = int64(len(s.events) + 1)
	}
	switch s.family {
	case "trade":
		i.eventType, i.data = nextTrade(r, s)
	case "position":
		i.eventType, i.data = nextFill(r, s)
	default:
		i.eventType, i.data = nextEntry(r, s)
	}
	return i
}

// earlier picks the id of an earlier event that made something, or of one that
// did not, or of none at all.
func (s *script) earlier(r *rand.Rand) string {
	if len(s.events) == 0 || r.IntN(20) == 0 {
		return "nothing-of-that-name"
	}
	for range 5 {
		if e := pick(r, s.events); makes(e) {
			return e.id
		}
	}
	return s.events[0].id
}

// makes reports whether an event makes what later ones can name.
func makes(i intent) bool {
	for _, suffix := range []string{".executed.v1", "-booked.v1", ".posted.v1"} {
		if strings.HasSuffix(i.eventType, suffix) {
			return true
		}
	}
	return false
}

func nextTrade(r *rand.Rand, s *script) (string, map[string]any) {
	data := map[string]any{"quantity": pick(r, quantities), "price": pick(r, prices)}
	if fee := pick(r, fees); fee != "" {
		data["fee"] = fee
	}
	switch n := r.IntN(10); {
	case n < 6:
		of := pick(r, listings)
		data["instrument"], data["currency"], data["side"] = of.instrument, of.currency, pick(r, []string{"buy", "sell"})
		return "trade.executed.v1", data
	case n < 8:
		data["trade"] = s.earlier(r)
		return "trade.amended.v1", data
	default:
		return "trade.cancelled.v1", map[string]any{"trade": s.earlier(r), "reason": "random"}
	}
}

func nextFill(r *rand.Rand, s *script) (string, map[string]any) {
	data := map[string]any{"quantity": pick(r, quantities), "price": pick(r, prices)}
	switch n := r.IntN(10); {
	case n < 6:
		of := pick(r, listings)
		data["instrument"], data["currency"], data["side"] = of.instrument, of.currency, pick(r, []string{"buy", "sell"})
		return "position.fill-booked.v1", data
	case n < 8:
		data["fill"] = s.earlier(r)
		return "position.fill-amended.v1", data
	default:
		return "position.fill-cancelled.v1", map[string]any{"fill": s.earlier(r)}
	}
}

func nextEntry(r *rand.Rand, s *script) (string, map[string]any) {
	if r.IntN(4) == 0 {
		return "ledger.reversed.v1", map[string]any{"entry": s.earlier(r)}
	}
	amount, currency := pick(r, amounts), pick(r, listings).currency
	return "ledger.posted.v1", map[string]any{"description": "random", "postings": []map[string]string{
		{"account": s.account, "currency": currency, "amount": amount},
		{"account": pick(r, accounts), "currency": currency, "amount": "-" + amount},
	}}
}
