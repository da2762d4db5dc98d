package event

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of one event. They keep every key within what a B-tree page of
// PostgreSQL holds, and every number exact in Redis' Lua.
const (
	MaxTenantID = 64      // bytes
	MaxSource   = 512     // bytes; holds that of an emitting entity, escaped
	MaxID       = 512     // bytes
	MaxType     = 128     // bytes
	MaxSubject  = 128     // bytes
	MaxOther    = 1024    // bytes of any other attribute's value
	MaxSequence = 1 << 53 // exclusive: doubles are exact below it
	MaxExtras   = 40      // extension attributes the platform does not know: 32 of the producer's, and what the way adds
)

// ReservedSource begins the source of every event that a function emits.
// Nobody else may use it.
const ReservedSource = "/millrace/"

// Event is one CloudEvent of version 1.0 with the attributes that Millrace
// gives a meaning to. See the event contract in docs/events.md.
type Event struct {
	TenantID string
	Source   string
	ID       string
	Type     string
	Subject  string
	// Time is when it happened, in UTC; its month chooses partitions.
	Time time.Time
	// Sequence is the position in the stream (tenant, source, subject),
	// counted from 1; 0 means the producer gives none.
	Sequence    int64
	TraceParent string
	DataSchema  string
	// Data is the payload. It is syntactically valid JSON if IsJSON.
	Data        []byte
	ContentType string
	IsJSON      bool
	// Extensions holds all further attributes, as strings.
	Extensions map[string]string
}

// Function returns the name of the function that handles e: the first word of
// its type.
func (e *Event) Function() string {
	name, _, _ := strings.Cut(e.Type, ".")
	return name
}

// Month returns the first day of the UTC month that e happened in.
func (e *Event) Month() time.Time { return MonthOf(e.Time) }

// MonthOf returns the first day of the UTC month of t.
func MonthOf(t time.Time) time.Time {
	t = t.UTC()
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// Emitted reports whether e says that a function emitted it.
func (e *Event) Emitted() bool { return strings.HasPrefix(e.Source, ReservedSource) }

// An Invalid says why an event cannot be decided at all: it becomes a dead
// letter. Reason is one of a small fixed set of words, fit for a metric label.
type Invalid struct { //nolint:errname // the word of the contract, read as event.Invalid
	Reason string
	Detail string
}

func (i *Invalid) Error() string { return i.Reason + ": " + i.Detail }

// The reasons why an event cannot be decided.
const (
	Malformed        = "malformed"         // not a readable CloudEvent
	BadAttribute     = "bad-attribute"     // missing, too long, or not storable
	BadTime          = "time-out-of-range" // before 2000 or over a day ahead
	ReservedProducer = "reserved-source"   // claims to be emitted by a function
	UnknownType      = "unknown-type"      // no rule for it in this version
	BadPayload       = "bad-payload"       // the data does not fit the type
)

// Invalidf makes an Invalid.
func Invalidf(reason, format string, args ...any) *Invalid {
	return &Invalid{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// AsInvalid returns the Invalid in err's chain, or nil.
func AsInvalid(err error) *Invalid {
	if inv, ok := errors.AsType[*Invalid](err); ok {
		return inv
	}
	return nil
}

var earliest = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// Validate checks the contract of e's attributes against the time now. The
// error is an *Invalid.
func (e *Event) Validate(now time.Time) error {
	for _, a := range []struct {
		name, value string
		max         int
	}{
		{"tenantid", e.TenantID, MaxTenantID},
		{"source", e.Source, MaxSource},
		{"id", e.ID, MaxID},
		{"type", e.Type, MaxType},
		{"subject", e.Subject, MaxSubject},
	} {
		if a.value == "" {
			return Invalidf(BadAttribute, "%s is missing", a.name)
		}
		if err := storable(a.name, a.value, a.max); err != nil {
			return err
		}
	}
	if strings.ContainsRune(e.Source, ' ') {
		return Invalidf(BadAttribute, "source %q is no URI reference: it has a space", e.Source)
	}
	if err := e.validateOthers(); err != nil {
		return err
	}
	if e.Time.IsZero() {
		return Invalidf(BadAttribute, "time is missing")
	}
	if e.Time.Before(earliest) || e.Time.After(now.Add(24*time.Hour)) {
		return Invalidf(BadTime, "time %s is before 2000 or more than a day ahead", e.Time.Format(time.RFC3339))
	}
	if e.Sequence < 0 || e.Sequence >= MaxSequence {
		return Invalidf(BadAttribute, "sequence %d is not between 1 and 2^53-1", e.Sequence)
	}
	return nil
}

func (e *Event) validateOthers() error {
	if len(e.Extensions) > MaxExtras {
		return Invalidf(BadAttribute, "%d extension attributes, %d are allowed", len(e.Extensions), MaxExtras)
	}
	for name, value := range e.Extensions {
		if err := storable(name, value, MaxOther); err != nil {
			return err
		}
	}
	if err := storable("traceparent", e.TraceParent, MaxOther); err != nil {
		return err
	}
	if err := storable("datacontenttype", e.ContentType, MaxOther); err != nil {
		return err
	}
	return storable("dataschema", e.DataSchema, MaxOther)
}

// storable reports whether value fits into text columns and Redis keys. It
// refuses the control characters of ASCII.
func storable(name, value string, limit int) error {
	if len(value) > limit {
		return Invalidf(BadAttribute, "%s has %d bytes, %d are allowed", name, len(value), limit)
	}
	for i := range len(value) {
		if c := value[i]; c < 0x20 || c == 0x7f {
			return Invalidf(BadAttribute, "%s holds the control character %#02x", name, c)
		}
	}
	if !utf8.ValidString(value) {
		return Invalidf(BadAttribute, "%s is not valid UTF-8", name)
	}
	return nil
}
