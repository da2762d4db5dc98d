// Package functiontest helps to test the rules of a function in memory.
package functiontest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
)

// TB is what a test gives: a *testing.T, or rapid's.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

var _ TB = (*testing.T)(nil)

// Tenant is the tenant of every event that Event makes.
const Tenant = "acme"

// Time is the time of every event that Event makes.
var Time = time.Date(2025, 3, 14, 9, 26, 53, 0, time.UTC)

// Event makes an event with data in JSON.
func Event(eventType, subject, source, id, data string) *event.Event {
	return &event.Event{
		TenantID: Tenant, Source: source, ID: id, Type: eventType, Subject: subject, Time: Time,
		ContentType: "application/json", Data: []byte(data), IsJSON: true,
	}
}

// Fold folds events into one entity, whose state is all in memory.
type Fold struct {
	fn     function.Definition
	Entity function.Instance
}

// NewFold returns a fold into a new entity.
func NewFold(fn function.Definition, subject string) *Fold {
	return &Fold{fn: fn, Entity: fn.NewEntity(function.Head{TenantID: Tenant, Subject: subject})}
}

// Decide decides e and returns its effects, or the reason of a refusal. That e
// can't be decided fails the test.
func (f *Fold) Decide(t TB, e *event.Event) (fx *function.Effects, refusal string) {
	t.Helper()
	payload, err := f.fn.Decode(e)
	if err != nil {
		t.Fatalf("decoding %s %s: %v", e.Type, e.Data, err)
	}
	fx, err = f.fn.Decide(f.Entity, e, payload)
	if refused, ok := errors.AsType[*function.Refusal](err); ok {
		return fx, refused.Reason
	}
	if err != nil {
		t.Fatalf("deciding %s %s: %v", e.Type, e.Data, err)
	}
	return fx, ""
}

// Apply decides e and fails the test if it is refused.
func (f *Fold) Apply(t TB, e *event.Event) *function.Effects {
	t.Helper()
	fx, refusal := f.Decide(t, e)
	if refusal != "" {
		t.Fatalf("%s %s was refused: %s", e.Type, e.Data, refusal)
	}
	return fx
}

// EntityOf returns the entity of a fold, whose state is an S.
func EntityOf[S any](t TB, f *Fold) *function.Entity[S] {
	t.Helper()
	e, ok := f.Entity.(*function.Entity[S])
	if !ok {
		t.Fatalf("the entity is a %T", f.Entity)
	}
	return e
}

// State returns the state as JSON.
func (f *Fold) State(t TB) string {
	t.Helper()
	state, err := f.Entity.StateJSON()
	if err != nil {
		t.Fatalf("rendering the state: %v", err)
	}
	return state
}

// Emitted returns what effects emit, one line an event: type, id and data.
func Emitted(fx *function.Effects) []string {
	lines := make([]string, 0, len(fx.Emitted))
	for _, e := range fx.Emitted {
		lines = append(lines, fmt.Sprintf("%s %s %s", e.Type, e.ID, e.Data))
	}
	return lines
}
