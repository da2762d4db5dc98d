package e2e_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/infra/topics"
)

// delivery is a record with its place in the traffic, from 0 to 1 and a bit.
type delivery struct {
	at     float64
	record *kgo.Record
}

// deliveries makes traffic of scripts: reordered where there is a sequence to
// mend it, with repeats, and with poison beside it.
func deliveries(r *rand.Rand, scripts []*script) []delivery {
	var all []delivery
	for _, s := range scripts {
		d := &deliverer{r: r, script: s, home: r.Int32N(topics.Partitions)}
		for n := range s.events {
			if n != s.open || s.open == 0 {
				d.deliver(n)
			}
		}
		all = append(all, d.out...)
	}
	return append(all, strays(r, len(all)/100+1)...)
}

func inOrder(all []delivery) []delivery {
	slices.SortStableFunc(all, func(a, b delivery) int { return cmp.Compare(a.at, b.at) })
	return all
}

// deliverer delivers one script.
type deliverer struct {
	r      *rand.Rand
	script *script
	// home is the partition in which the order of the script is kept.
	home int32
	out  []delivery
}

func (d *deliverer) deliver(n int) {
	i, r := d.script.events[n], d.r
	at, partition := (float64(n)+0.5)/float64(len(d.script.events)), d.home
	if d.script.sequenced {
		// The sequence mends any order, over all partitions.
		at += r.Float64() * 4 / float64(len(d.script.events))
		if r.IntN(25) == 0 {
			at += r.Float64() // a gap that closes late
		}
		if r.IntN(3) == 0 {
			partition = r.Int32N(topics.Partitions)
		}
	}
	later := func() float64 { return at + 1e-9 + r.Float64()/3 }
	if d.script.sequenced && r.IntN(30) == 0 {
		broken := i // comes first, cannot be decided, and so does not take the sequence
		broken.id, broken.data = i.id+" broken", map[string]any{"instrument": 1}
		d.put(at-1e-9, partition, broken, newEnvelope(r))
	}
	d.put(at, partition, i, newEnvelope(r))
	if r.IntN(8) == 0 {
		again := partition
		if d.script.sequenced || makes(i) { // it needs none before it, wherever it comes first
			again = r.Int32N(topics.Partitions)
		}
		d.put(later(), again, i, newEnvelope(r)) // with another time, perhaps in another mode
	}
	if r.IntN(30) == 0 {
		other := i // the same identity, another content
		other.data = maps.Clone(i.data)
		other.data["quantity"] = "31337"
		d.put(later(), partition, other, newEnvelope(r))
	}
	if d.script.sequenced && r.IntN(30) == 0 {
		reused := i // the same sequence, another identity
		reused.id += " reused"
		d.put(later(), partition, reused, newEnvelope(r))
	}
}

// envelope is how an event travels.
type envelope struct {
	time   time.Time
	binary bool
	keyed  bool
}

func newEnvelope(r *rand.Rand) envelope {
	return envelope{
		time:   time.Now().Add(-time.Duration(r.Int64N(int64(60 * 24 * time.Hour)))).UTC(),
		binary: r.IntN(2) == 0, keyed: r.IntN(2) == 0,
	}
}

func (d *deliverer) put(at float64, partition int32, i intent, e envelope) {
	attributes := map[string]string{
		"specversion": "1.0", "id": i.id, "source": d.script.source, "type": i.eventType,
		"subject": d.script.account, "tenantid": d.script.tenant, "time": e.time.Format(time.RFC3339Nano),
	}
	if i.sequence > 0 {
		attributes["sequence"] = fmt.Sprint(i.sequence)
	}
	data, err := json.Marshal(i.data)
	if err != nil {
		panic(err) // maps of strings
	}
	record := encode(topics.Events(d.script.family), attributes, data, e.binary)
	record.Partition = partition
	if e.keyed {
		record.Key = []byte(d.script.account)
	}
	d.out = append(d.out, delivery{at, record})
}

// encode writes an event by the CloudEvents Kafka binding.
func encode(topic string, attributes map[string]string, data []byte, binary bool) *kgo.Record {
	if binary {
		r := &kgo.Record{Topic: topic, Value: data, Headers: []kgo.RecordHeader{{Key: "content-type", Value: []byte("application/json")}}}
		for name, value := range attributes {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: "ce_" + name, Value: []byte(value)})
		}
		return r
	}
	whole := map[string]any{}
	for name, value := range attributes {
		whole[name] = value
	}
	if data != nil {
		whole["datacontenttype"], whole["data"] = "application/json", json.RawMessage(data)
	}
	value, err := json.Marshal(whole)
	if err != nil {
		panic(err) // data is JSON
	}
	return &kgo.Record{Topic: topic, Value: value, Headers: []kgo.RecordHeader{
		{Key: "content-type", Value: []byte("application/cloudevents+json; charset=UTF-8")}}}
}
