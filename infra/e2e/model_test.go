package e2e_test

import (
	"fmt"
	"math/big"
)

// model is what should come of scripts, worked out as plainly as can be: in
// exact fractions, without a line of Millrace's code, and without its order.
type model struct {
	outcomes map[string]string   // identity -> applied or refused
	holdings map[string]*holding // tenant, account and instrument
	balances map[string]*big.Rat // tenant, account and currency
	emitted  int
}

// holding is what all live fills of an instrument make, in whatever order.
type holding struct {
	quantity *big.Rat
	paid     *big.Rat // signed quantity x price: cost less realised profit
	live     int
}

// deal is a trade or a fill.
type deal struct {
	listing
	side                 string
	quantity, price, fee *big.Rat
	cancelled            bool
	booked               bool // an entry stands in the ledger
}

// posted is an entry.
type posted struct {
	postings           []map[string]string
	reversed, reversal bool
}

func imagine(scripts []*script) *model {
	m := &model{outcomes: map[string]string{}, holdings: map[string]*holding{}, balances: map[string]*big.Rat{}}
	for _, s := range scripts {
		switch s.family {
		case "trade":
			m.deals(s, m.trade)
		case "position":
			m.deals(s, m.fill)
		default:
			m.entries(s)
		}
	}
	return m
}

func identityOf(s *script, id string) string { return s.tenant + " | " + s.source + " | " + id }

// note notes an outcome. Ids repeat among the accounts of a source only if
// somebody made a mistake: then nothing here would be right.
func (m *model) note(s *script, id string, applied bool) {
	key := identityOf(s, id)
	if m.outcomes[key] != "" {
		panic("the identity " + key + " is used twice")
	}
	m.outcomes[key] = "refused"
	if applied {
		m.outcomes[key] = "applied"
	}
}

func (m *model) deals(s *script, decide func(*script, map[string]*deal, intent) bool) {
	known := map[string]*deal{}
	for _, i := range s.told() {
		m.note(s, i.id, decide(s, known, i))
	}
	for _, d := range known {
		h := m.holding(s.tenant, s.account, d.instrument)
		if d.cancelled {
			continue
		}
		quantity := new(big.Rat).Set(d.quantity)
		if d.side == "sell" {
			quantity.Neg(quantity)
		}
		h.quantity.Add(h.quantity, quantity)
		h.paid.Add(h.paid, quantity.Mul(quantity, d.price))
		h.live++
		if s.family == "trade" {
			m.pay(s, d)
		}
	}
}

func (m *model) trade(s *script, known map[string]*deal, i intent) bool {
	switch i.eventType {
	case "trade.executed.v1":
		d := newDeal(i)
		if s.account == "house" || !fits(d.fee, d.currency) {
			return false
		}
		known[i.id] = d
		m.emitted++
		m.book(s, d)
	case "trade.amended.v1":
		d := known[i.text("trade")]
		if d == nil || d.cancelled {
			return false
		}
		quantity, price, fee := number(i.text("quantity")), number(i.text("price")), d.fee
		if i.data["fee"] != nil {
			fee = number(i.text("fee"))
		}
		refill := quantity.Cmp(d.quantity) != 0 || price.Cmp(d.price) != 0
		if !refill && fee.Cmp(d.fee) == 0 || !fits(fee, d.currency) {
			return false
		}
		if refill {
			m.emitted++
		}
		m.unbook(d)
		d.quantity, d.price, d.fee = quantity, price, fee
		m.book(s, d)
	default:
		d := known[i.text("trade")]
		if d == nil || d.cancelled {
			return false
		}
		d.cancelled = true
		m.emitted++
		m.unbook(d)
	}
	return true
}

// book counts the entry that the ledger is told of, if there is one.
func (m *model) book(s *script, d *deal) {
	if d.amount().Sign() == 0 && d.fee.Sign() == 0 {
		return
	}
	d.booked = true
	m.emitted++
	m.balance(s.tenant, s.account, d.currency)
	if d.amount().Sign() != 0 {
		m.balance(s.tenant, "house", d.currency)
	}
	if d.fee.Sign() != 0 {
		m.balance(s.tenant, "house:fees", d.currency)
	}
}

func (m *model) unbook(d *deal) {
	if d.booked {
		d.booked = false
		m.emitted++
	}
}

// pay moves what a live trade costs.
func (m *model) pay(s *script, d *deal) {
	cost := d.amount()
	move := func(account string, amount *big.Rat, sign int64) {
		if amount.Sign() != 0 {
			b := m.balance(s.tenant, account, d.currency)
			b.Add(b, new(big.Rat).Mul(amount, big.NewRat(sign, 1)))
		}
	}
	move(s.account, cost, -1)
	move("house", cost, 1)
	move(s.account, d.fee, -1)
	move("house:fees", d.fee, 1)
}

func (m *model) fill(_ *script, known map[string]*deal, i intent) bool {
	switch i.eventType {
	case "position.fill-booked.v1":
		known[i.id] = newDeal(i)
		return true
	case "position.fill-amended.v1":
		d := known[i.text("fill")]
		if d == nil || d.cancelled {
			return false
		}
		quantity, price := number(i.text("quantity")), number(i.text("price"))
		if quantity.Cmp(d.quantity) == 0 && price.Cmp(d.price) == 0 {
			return false
		}
		d.quantity, d.price = quantity, price
		return true
	default:
		d := known[i.text("fill")]
		if d == nil || d.cancelled {
			return false
		}
		d.cancelled = true
		return true
	}
}

func (m *model) entries(s *script) {
	known := map[string]*posted{}
	for _, i := range s.told() {
		if i.eventType == "ledger.posted.v1" {
			known[i.id] = &posted{postings: i.postings()}
			m.post(s, known[i.id].postings, 1)
			m.note(s, i.id, true)
			continue
		}
		e := known[i.text("entry")]
		ok := e != nil && !e.reversed && !e.reversal
		m.note(s, i.id, ok)
		if ok {
			e.reversed = true
			known[i.id] = &posted{reversal: true}
			m.post(s, e.postings, -1)
		}
	}
}

func (m *model) post(s *script, postings []map[string]string, sign int64) {
	for _, p := range postings {
		b := m.balance(s.tenant, p["account"], p["currency"])
		b.Add(b, new(big.Rat).Mul(number(p["amount"]), big.NewRat(sign, 1)))
	}
}

func (m *model) holding(tenant, account, instrument string) *holding {
	key := fmt.Sprintf("%s | %s | %s", tenant, account, instrument)
	if m.holdings[key] == nil {
		m.holdings[key] = &holding{quantity: new(big.Rat), paid: new(big.Rat)}
	}
	return m.holdings[key]
}

func (m *model) balance(tenant, account, currency string) *big.Rat {
	key := fmt.Sprintf("%s | %s | %s", tenant, account, currency)
	if m.balances[key] == nil {
		m.balances[key] = new(big.Rat)
	}
	return m.balances[key]
}
