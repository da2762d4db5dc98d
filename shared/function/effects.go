package function

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/money"
	"github.com/millrace/millrace/shared/trace"
)

// MaxTargets bounds the targets that one entity emits to over its life, since
// it keeps a counter for each.
const MaxTargets = 1000

// MaxEmittedBytes bounds the data of an emitted event, so that with its
// attributes it fits into a Kafka record of a mebibyte.
const MaxEmittedBytes = 960 << 10

// Effects collects what a decision does beside changing the state.
type Effects struct {
	function string
	head     *Head
	cause    *event.Event
	Emitted  []*event.Event
	Deltas   []Delta
	Redacted []Name // see Redact
}

// Delta is a change of one field of an aggregate: a number that many entities
// touch. It is added at the end of the transaction, in one lock order.
type Delta struct {
	TenantID string
	Name     string // which aggregate, such as "balance"
	Key      string // such as the account
	Field    string // such as the currency
	Amount   money.Decimal
}

// Add adds amount to a field of an aggregate of the event's tenant.
func (fx *Effects) Add(name, key, field string, amount money.Decimal) {
	fx.Deltas = append(fx.Deltas, Delta{
		TenantID: fx.head.TenantID, Name: name, Key: key, Field: field, Amount: amount,
	})
}

// Emit emits an event of eventType about subject and returns its id, by which
// later events can name it. The id, the source, the sequence, the time and the
// traceparent follow from the entity, its counters and the causing event, so that deciding
// again emits the same. It panics on an event that its receiver could not read,
// since that would stop the stream there: the causing event becomes a dead letter
// instead.
func (fx *Effects) Emit(eventType, subject string, payload any) string {
	data, err := json.Marshal(payload, json.Deterministic(true))
	if err != nil {
		panic(fmt.Sprintf("function %s emits a payload that has no JSON form: %v", fx.function, err))
	}
	target, _, _ := strings.Cut(eventType, ".")
	key := target + "/" + url.PathEscape(subject)
	if _, known := fx.head.Counters[key]; !known && len(fx.head.Counters) >= MaxTargets {
		panic(fmt.Sprintf("entity %s emits to more than %d targets", fx.head.Subject, MaxTargets))
	}
	if fx.head.Counters == nil {
		fx.head.Counters = map[string]int64{}
	}
	fx.head.Counters[key]++
	n := fx.head.Counters[key]
	e := &event.Event{
		TenantID:    fx.head.TenantID,
		Source:      EmitterSource(fx.function, fx.head.Subject),
		ID:          key + "/" + strconv.FormatInt(n, 10),
		Type:        eventType,
		Subject:     subject,
		Time:        fx.cause.Time,
		Sequence:    n,
		TraceParent: fx.follow(),
		ContentType: "application/json",
		Data:        data,
		IsJSON:      true,
	}
	if err := e.Validate(e.Time); err != nil || len(data) > MaxEmittedBytes {
		panic(fmt.Sprintf("function %s emits to %q what nobody can read: %d bytes, %v", fx.function, subject, len(data), err))
	}
	fx.Emitted = append(fx.Emitted, e)
	return e.ID
}

// follow returns the traceparent of what is emitted.
func (fx *Effects) follow() string {
	if len(fx.Emitted) > 0 {
		return fx.Emitted[0].TraceParent
	}
	return trace.Follow(fx.cause.TraceParent,
		trace.Identity{TenantID: fx.cause.TenantID, Source: fx.cause.Source, ID: fx.cause.ID}, fx.function)
}

// EmitterSource is the source of what an entity of a function emits.
func EmitterSource(function, subject string) string {
	return event.ReservedSource + function + "/" + url.PathEscape(subject)
}

// Emitter returns the function and the entity that emit with a source, if there
// are such: the opposite of EmitterSource.
func Emitter(source string) (function, subject string, ok bool) {
	rest, reserved := strings.CutPrefix(source, event.ReservedSource)
	function, escaped, two := strings.Cut(rest, "/")
	subject, err := url.PathUnescape(escaped)
	ok = reserved && two && err == nil && utf8.ValidString(subject) && !strings.ContainsRune(subject, 0)
	return function, subject, ok
}
