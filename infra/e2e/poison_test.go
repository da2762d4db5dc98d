package e2e_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/infra/topics"
)

// strays are records that nothing may come of but dead letters, n of each kind.
func strays(r *rand.Rand, n int) []delivery {
	var all []delivery
	for k := range n {
		for kind, spoil := range poison {
			record := spoil(fmt.Sprintf("%d.%d", kind, k), pick(r, tenants), pick(r, accounts))
			record.Partition = r.Int32N(topics.Partitions)
			if r.IntN(2) == 0 {
				record.Key = []byte("stray")
			}
			all = append(all, delivery{r.Float64() * 1.2, record})
		}
	}
	return all
}

const goodTrade = `{"instrument":"AAPL","side":"buy","quantity":"1","price":"1","currency":"USD"}`

// poison makes records by an id, a tenant and an account.
var poison = []func(id, tenant, account string) *kgo.Record{
	bare(nil),
	bare([]byte("no event at all")),
	bare([]byte(`{"id":"and this is only JSON"}`)),
	structured(func(whole string) string { return whole[:len(whole)-3] }),
	structured(func(whole string) string { return "[" + whole + "]" }),
	structured(func(whole string) string { return whole + whole }),
	structured(func(whole string) string { return whole[:len(whole)-1] + `,"id":"twice"}` }),
	structured(func(whole string) string { return whole[:len(whole)-1] + `,"data_base64":"AAAA"}` }),
	structured(func(whole string) string { return strings.Replace(whole, `"id":"`, `"id":"\u0000`, 1) }),
	with("specversion", "0.3"),
	with("type", "trade.exploded.v1"),
	with("type", "trade.executed.v2"),
	with("type", "position.fill-booked.v1"), // in the topic of trades
	with("tenantid", ""),
	with("tenantid", strings.Repeat("t", 65)),
	with("subject", ""),
	with("subject", strings.Repeat("s", 129)),
	with("id", strings.Repeat("i", 513)),
	with("source", "/has a space"),
	with("time", ""),
	with("time", "yesterday"),
	with("time", "9999-12-31T23:59:59Z"),
	with("time", "1999-12-31T23:59:59Z"),
	with("sequence", "0"),
	with("sequence", "9007199254740992"),
	with("sequence", "one"),
	with("source", "/millrace/trade/acct-1"), // nobody else's
	with("Odd-Name", "x"),
	data(`{"instrument":"AAPL"`), // in binary mode it need not be JSON
	data(``),
	data(`null`),
	data(`[]`),
	data(strings.Replace(goodTrade, `"1"`, `1`, 1)),             // a number that is no string
	data(strings.Replace(goodTrade, `"1"`, `"1e3"`, 1)),         // an exponent
	data(strings.Replace(goodTrade, `"1"`, `"NaN"`, 1)),         // no number
	data(strings.Replace(goodTrade, `"1"`, `"-1"`, 1)),          // no quantity
	data(strings.Replace(goodTrade, `USD`, `XYZ`, 1)),           // no currency
	data(strings.Replace(goodTrade, `buy`, `BUY`, 1)),           // no side
	data(strings.Replace(goodTrade, `}`, `,"hidden":true}`, 1)), // nothing that is known
	data(strings.Replace(goodTrade, `AAPL`, `A\u0000`, 1)),      // nothing that can be stored
}

func attributes(id, tenant, account string) map[string]string {
	return map[string]string{
		"specversion": "1.0", "id": id, "source": "/poison", "type": "trade.executed.v1",
		"subject": account, "tenantid": tenant, "time": "2026-03-14T09:26:53Z",
	}
}

func bare(value []byte) func(id, tenant, account string) *kgo.Record {
	return func(string, string, string) *kgo.Record {
		return &kgo.Record{Topic: topics.Events("trade"), Value: value}
	}
}

func structured(spoil func(string) string) func(id, tenant, account string) *kgo.Record {
	return func(id, tenant, account string) *kgo.Record {
		r := encode(topics.Events("trade"), attributes(id, tenant, account), []byte(goodTrade), false)
		r.Value = []byte(spoil(string(r.Value)))
		return r
	}
}

// with changes an attribute, in binary mode; an empty value leaves it out.
func with(name, value string) func(id, tenant, account string) *kgo.Record {
	return func(id, tenant, account string) *kgo.Record {
		all := maps.Clone(attributes(id, tenant, account))
		all[name] = value
		if value == "" {
			delete(all, name)
		}
		return encode(topics.Events("trade"), all, []byte(goodTrade), true)
	}
}

func data(text string) func(id, tenant, account string) *kgo.Record {
	return func(id, tenant, account string) *kgo.Record {
		return encode(topics.Events("trade"), attributes(id, tenant, account), []byte(text), true)
	}
}
