package gateway

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/fault"
	"github.com/millrace/millrace/shared/kafka"
)

// wayBytes is what the way to the function may add to an event: the record's
// headers, and what the batch trigger stamps on it.
const wayBytes = 512

// told is how many wrong events of a request are told one by one.
const told = 5

// accept checks the events of a request. All are good, or its error says what is
// wrong with each.
func (g *Gateway) accept(received []event.Received, who grants) ([]*event.Event, error) {
	now := time.Now()
	var events []*event.Event
	var wrong []string
	var kind fault.Kind
	for n, r := range received {
		err := g.check(r, who, now)
		if err == nil {
			events = append(events, r.Event)
			continue
		}
		if len(wrong) == 0 {
			kind = fault.KindOf(err)
		}
		wrong = append(wrong, place(n, len(received), r.Event)+detail(err))
	}
	if len(wrong) == 0 {
		return events, nil
	}
	if more := len(wrong) - told; more > 0 {
		wrong = append(wrong[:told], fmt.Sprintf("and %d more", more))
	}
	if len(received) > 1 {
		wrong = append(wrong, "nothing of the request was taken")
	}
	return nil, fault.New(kind, "%s", strings.Join(wrong, "; "))
}

// place says which of several events is meant.
func place(n, of int, e *event.Event) string {
	switch {
	case of == 1:
		return ""
	case e == nil || e.ID == "":
		return fmt.Sprintf("event %d: ", n)
	}
	return fmt.Sprintf("event %d (id %q): ", n, e.ID)
}

func detail(err error) string {
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e.Detail
	}
	return err.Error()
}

// hints say what to do about the mistakes that people make first.
var hints = map[string]string{
	"tenantid is missing": ": name the tenant in the attribute tenantid (?tenant= for plain JSON)",
	"subject is missing":  ": name the entity in the attribute subject (?subject= for plain JSON)",
	"time is missing":     ": say when it happened in the attribute time, as in 2026-11-20T09:00:00Z",
}

// check holds one event to all that is known before its function sees it.
func (g *Gateway) check(r event.Received, who grants, now time.Time) error {
	err := r.Err
	if errors.Is(err, event.ErrTooLarge) {
		return g.reader.TooLarge()
	}
	if err == nil {
		err = r.Event.Validate(now)
	}
	if invalid := event.AsInvalid(err); invalid != nil {
		return fault.New(fault.Invalid, "%s%s", invalid.Detail, hints[invalid.Detail])
	}
	e := r.Event
	switch size := len(r.Raw) + len(recordKey(e)) + wayBytes; {
	case e.Emitted():
		return fault.New(fault.Invalid, "source %q is reserved: sources under %s are for what functions emit", e.Source, event.ReservedSource)
	case !slices.Contains(kafka.Functions(), e.Function()):
		return fault.New(fault.Invalid, "type %q names no function: its first word has to be one of %s", e.Type, functionNames())
	case !e.IsJSON:
		return fault.New(fault.Invalid, "the data is not JSON, or its content type %q does not say so", e.ContentType)
	case size > g.maxEvent:
		return fault.New(fault.TooLarge, "the event has %d bytes on its way, %d are allowed", size, g.maxEvent)
	}
	return who.allow(e)
}

// recordKey decides which events keep their order on the way.
func recordKey(e *event.Event) string {
	if key := e.Extensions["partitionkey"]; key != "" {
		return key
	}
	return e.Subject
}
