package traffic

import (
	"strconv"
	"time"

	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/shared/event"
)

// Record is one for Kafka.
type Record struct {
	Topic   string
	Key     []byte
	Headers []Header
	Value   []byte
	// At is when it is due, after the start.
	At   time.Duration
	Kind Kind
	// Parked says that the event waits for ever, for one that is lost.
	Parked bool
	// Poison names the kind of poison that it is; else it is empty.
	Poison string
	// Event is what the record says; of poison, what it was before it was spoilt.
	Event *event.Event
}

// Header is one of a record.
type Header struct{ Name, Value string }

// Kind is what a record is in the traffic.
type Kind int

// The kinds of records.
const (
	Meant     Kind = iota // an event that comes for the first time
	Duplicate             // one that came before
	Poison                // what cannot be decided
)

// newRecord writes an event by the CloudEvents Kafka binding, keyed by subject.
func newRecord(e *event.Event, structured bool) Record {
	r := Record{Topic: topics.Events(e.Function()), Key: []byte(e.Subject), Event: e}
	if structured {
		r.Value = event.AppendJSON(nil, e)
		r.Headers = []Header{{"content-type", "application/cloudevents+json; charset=UTF-8"}}
		return r
	}
	r.Value = e.Data
	r.Headers = []Header{
		{"ce_specversion", "1.0"}, {"ce_id", e.ID}, {"ce_source", e.Source}, {"ce_type", e.Type},
		{"ce_tenantid", e.TenantID}, {"ce_subject", e.Subject}, {"ce_time", e.Time.Format(time.RFC3339Nano)},
	}
	if e.Sequence > 0 {
		r.Headers = append(r.Headers, Header{"ce_sequence", strconv.FormatInt(e.Sequence, 10)})
	}
	r.Headers = append(r.Headers, Header{"content-type", "application/json"})
	return r
}

// with sets a header, or takes it away if the value is empty.
func (r *Record) with(name, value string) {
	for n, h := range r.Headers {
		if h.Name != name {
			continue
		}
		if value == "" {
			r.Headers = append(r.Headers[:n], r.Headers[n+1:]...)
			return
		}
		r.Headers[n].Value = value
	}
}
