package traffic

import (
	"fmt"
	"math/rand/v2"

	"github.com/millrace/millrace/shared/event"
)

// conflict is the kind of poison that has the identity of an event that came
// before it, and says something else.
const conflict = "conflict"

// poisons spoil a record in ways after which nothing but a dead letter can come
// of it.
var poisons = []struct {
	name  string
	spoil func(r *Record)
}{
	{"null", func(r *Record) { r.Value, r.Headers = nil, nil }},
	{"no-event", func(r *Record) { r.Value, r.Headers = []byte("no event at all"), nil }},
	{"broken-json", func(r *Record) {
		whole := newRecord(r.Event, true)
		r.Headers, r.Value = whole.Headers, whole.Value[:len(whole.Value)-3]
	}},
	{"unknown-type", func(r *Record) { r.with("ce_type", r.Event.Function()+".exploded.v1") }},
	{"bad-payload", func(r *Record) { r.Value = []byte(`{"nonsense":true}`) }},
	{"no-tenant", func(r *Record) { r.with("ce_tenantid", "") }},
	{"bad-time", func(r *Record) { r.with("ce_time", "yesterday") }},
	{"late-time", func(r *Record) { r.with("ce_time", "9999-12-31T23:59:59Z") }},
	{"reserved-source", func(r *Record) { r.with("ce_source", "/millrace/trade/account-1") }},
	{conflict, func(r *Record) { r.Value = []byte(`{"another":"content"}`) }},
}

// spoil makes poison of an event. All but the conflict have an identity of
// their own and no sequence, so that they meet nobody.
func spoil(r *rand.Rand, e *event.Event) Record {
	of := pick(r, poisons)
	stray := *e
	if of.name != conflict {
		stray.Source, stray.Sequence = "/poison", 0
		stray.ID = fmt.Sprintf("%s-%x", of.name, r.Uint64())
	}
	record := newRecord(&stray, false)
	of.spoil(&record)
	record.Kind, record.Poison = Poison, of.name
	return record
}
