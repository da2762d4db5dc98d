package send

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/shared/event"
)

// Defaults are what events get that do not say themselves.
type Defaults struct {
	Type, Tenant, Subject, Source, ID, Time, Sequence string
	// Data is JSON; only for an event made from flags.
	Data string
	// Extensions are further attributes.
	Extensions map[string]string
	// Topic overrides the one that follows from the type.
	Topic string
	// Unchecked sends what breaks the event contract too.
	Unchecked bool
	// Now is the time of events that have none.
	Now func() time.Time
}

// DefaultSource is the source of events that name none.
const DefaultSource = "millrace-send"

// Event is one that is ready for Kafka.
type Event struct {
	Tenant, Source, ID, Type, Subject string
	// Function is the one that will decide it.
	Function string
	Topic    string
	Key      string
	// Value is the event in CloudEvents' JSON format.
	Value []byte
}

// FromFlags is the event that the defaults alone describe.
func (d Defaults) FromFlags() (Event, error) {
	if d.Data != "" && !jsontext.Value(d.Data).IsValid() {
		return Event{}, fmt.Errorf("--data is not JSON: %s", d.Data)
	}
	return d.Complete([]byte("{}"))
}

// Complete fills in what an event lacks and checks it against the event
// contract, so that a slip is told here and not by a dead letter.
func (d Defaults) Complete(raw []byte) (Event, error) {
	value, err := d.fill(raw)
	if err != nil {
		return Event{}, err
	}
	received := event.ParseStructured(value)
	if err := received.Err; err == nil {
		err = received.Event.Validate(d.now())
		received.Err = err
	}
	if received.Err != nil && !d.Unchecked {
		return Event{}, fmt.Errorf("%w (--unchecked sends it all the same)", received.Err)
	}
	return d.address(value, received.Event)
}

// fill appends the attributes that are missing; what is there stays as it is,
// byte for byte.
func (d Defaults) fill(raw []byte) ([]byte, error) {
	have, err := names(raw)
	if err != nil {
		return nil, err
	}
	value := bytes.TrimRight(raw, " \t\r\n")
	value = slices.Clip(bytes.TrimRight(value[:len(value)-1], " \t\r\n")) // raw stays as it is
	for _, a := range d.attributes() {
		if a.value == "" || slices.Contains(have, a.name) {
			continue
		}
		if len(have) > 0 {
			value = append(value, ',')
		}
		have = append(have, a.name)
		value = append(value, fmt.Sprintf("%s:%s", quote(a.name), quote(a.value))...)
	}
	if d.Data != "" && !slices.Contains(have, "data") && !slices.Contains(have, "data_base64") {
		value = append(value, `,"data":`...)
		value = append(value, d.Data...)
	}
	return append(value, '}'), nil
}

type attribute struct{ name, value string }

func (d Defaults) attributes() []attribute {
	all := []attribute{
		{"specversion", "1.0"},
		{"type", d.Type},
		{"tenantid", d.Tenant},
		{"subject", d.Subject},
		{"source", or(d.Source, DefaultSource)},
		// Of version 7: ids of one moment lie together in an index.
		{"id", or(d.ID, uuid.Must(uuid.NewV7()).String())},
		{"time", or(d.Time, d.now().UTC().Format(time.RFC3339Nano))},
		{"sequence", d.Sequence},
	}
	for name, value := range d.Extensions {
		all = append(all, attribute{name, value})
	}
	return all
}

func (d Defaults) now() time.Time {
	if d.Now != nil {
		return d.Now()
	}
	return time.Now()
}

// address says where the event goes. e is nil if it could not be read.
func (d Defaults) address(value []byte, e *event.Event) (Event, error) {
	if e == nil {
		e = &event.Event{}
	}
	out := Event{
		Tenant: e.TenantID, Source: e.Source, ID: e.ID, Type: e.Type, Subject: e.Subject,
		Function: e.Function(), Topic: d.Topic, Key: or(e.Extensions["partitionkey"], e.Subject), Value: value,
	}
	known := topics.Functions()
	if i := slices.IndexFunc(known, func(f string) bool { return topics.Events(f) == d.Topic }); i >= 0 {
		out.Function = known[i]
	}
	if out.Topic == "" {
		if !slices.Contains(known, out.Function) {
			return Event{}, fmt.Errorf("type %q begins with no function's name (%s): say the topic by --topic", e.Type, strings.Join(known, ", "))
		}
		out.Topic = topics.Events(out.Function)
	}
	return out, nil
}

// names lists the members of a JSON object.
func names(raw []byte) ([]string, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(raw), jsontext.AllowDuplicateNames(true))
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	var all []string
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		all = append(all, name.String())
		if err := dec.SkipValue(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string always has a JSON form
	}
	return string(quoted)
}

func or(first, second string) string {
	if first != "" {
		return first
	}
	return second
}
