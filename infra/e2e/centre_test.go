package e2e_test

import (
	"math/rand/v2"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/infra/traffic"
	"github.com/millrace/millrace/shared/event"
)

// centre makes the traffic of the contact centre, with all that package traffic
// does wrong, and returns what has to become of each event. All of it has
// sequences, so it may lie in any partition and is decided as it was meant.
func centre(seed uint64, events int) ([]delivery, map[string]string) {
	r := rand.New(rand.NewPCG(seed, 7))
	s := traffic.Defaults()
	s.Seed, s.Start = seed, time.Now().Add(-time.Hour)
	s.Events, s.Tenants, s.Entities, s.Sequences = events, len(centreTenants), 8, true
	s.Duplicates, s.Reorder, s.Gaps, s.OpenGaps, s.Poison = 0.1, 0.2, 0.05, 0.1, 0.05
	if err := s.Only("agent", "conversation", "message"); err != nil {
		panic(err) // all three are there
	}
	g, err := traffic.New(s)
	if err != nil {
		panic(err) // nothing of it is out of range
	}
	var all []delivery
	outcomes := map[string]string{}
	for t, ok := g.Next(); ok; t, ok = g.Next() {
		e := t.Event
		if t.Kind == traffic.Meant && !t.Parked {
			outcomes[strings.Join([]string{e.TenantID, e.Source, e.ID}, " | ")] = outcome(e)
		}
		record := &kgo.Record{Topic: t.Topic, Key: t.Key, Value: t.Value, Partition: r.Int32N(topics.Partitions)}
		for _, h := range t.Headers {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: h.Name, Value: []byte(h.Value)})
		}
		all = append(all, delivery{record: record})
	}
	for n := range all {
		all[n].at = float64(n) / float64(len(all))
	}
	return all, outcomes
}

var centreTenants = []string{"acme", "globex", "initech"}

// either is the outcome of what may be applied or refused.
const either = "applied or refused"

// outcome is that of an event of the centre. Compliance redacts what another
// source says: it may overtake a message, or its correction, and one of the two
// is refused then.
func outcome(e *event.Event) string {
	if e.Source == "/compliance" || e.Type == "message.edited.v1" {
		return either
	}
	return "applied"
}
