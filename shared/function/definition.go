package function

import (
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/views"
)

// Definition is a Function as the runtime, the relay and the tools see it: of
// whatever state.
type Definition interface {
	FunctionName() string
	// Check names everything that is missing in the function.
	Check() error
	Types() []string
	// SamplePayload returns the zero payload of an event type, which says what
	// the type has: its JSON names, and whether it is Confidential or Referring.
	// It is nil if there is no rule for the type.
	SamplePayload(eventType string) Payload
	// Decode returns the payload of e, or nil and an *event.Invalid.
	Decode(e *event.Event) (payload any, err error)
	// NewEntity returns an entity with the zero state.
	NewEntity(head Head) Instance
	// Decide applies the rule for e to the entity. On a *Refusal the entity's
	// state and counters are as before.
	Decide(i Instance, e *event.Event, payload any) (*Effects, error)
	QueueLoad(b *pgx.Batch, entities []Instance)
	QueueSave(b *pgx.Batch, entities []Instance)
	QueueLoadViews(b *pgx.Batch, entities []Instance)
	QueueLoadAll(b *pgx.Batch, entities []Instance)
	RenderViews(i Instance) []views.View
	RenderAggregate(name string, a Aggregate) []views.View
}

// Instance is an Entity of whatever state.
type Instance interface {
	Header() *Head
	// StateJSON renders the state.
	StateJSON() (string, error)
}

// Header returns the part of e that the runtime keeps.
func (e *Entity[S]) Header() *Head { return &e.Head }

// StateJSON renders the state for people and for comparisons.
func (e *Entity[S]) StateJSON() (string, error) { return StateJSON(&e.State) }

// FunctionName returns f.Name.
func (f *Function[S]) FunctionName() string { return f.Name }

// Decode implements Definition.
func (f *Function[S]) Decode(e *event.Event) (any, error) {
	r := f.rule(e.Type)
	if r == nil {
		return nil, event.Invalidf(event.UnknownType, "function %s has no rule for %q", f.Name, e.Type)
	}
	if !e.IsJSON || len(e.Data) == 0 {
		return nil, event.Invalidf(event.BadPayload, "the data of %s is not JSON", e.Type)
	}
	return r.decode(e.Data)
}

// NewEntity implements Definition.
func (f *Function[S]) NewEntity(head Head) Instance { return &Entity[S]{Head: head} }

// Decide implements Definition.
func (f *Function[S]) Decide(i Instance, e *event.Event, payload any) (*Effects, error) {
	r := f.rule(e.Type)
	if r == nil {
		return nil, event.Invalidf(event.UnknownType, "function %s has no rule for %q", f.Name, e.Type)
	}
	entity := own[S](i)
	fx := &Effects{function: f.Name, head: &entity.Head, cause: e}
	err := r.decide(&entity.State, Event{Event: e, Version: entity.Version + 1}, payload, fx)
	if err == nil {
		entity.Version++
		return fx, nil
	}
	refusal, ok := err.(*Refusal) //nolint:errorlint // a rule returns it bare
	if !ok {
		return nil, fmt.Errorf("deciding %s: a rule returns Refuse or nil, not %w", e.Type, err)
	}
	if len(fx.Emitted) > 0 {
		return nil, fmt.Errorf("deciding %s: the rule emitted an event and then refused", e.Type)
	}
	entity.Version++
	return &Effects{}, refusal
}

// own returns i as what it is: a function gets the entities that it made.
func own[S any](i Instance) *Entity[S] {
	entity, ok := i.(*Entity[S])
	if !ok {
		panic(fmt.Sprintf("an entity of another function: %T", i))
	}
	return entity
}

func typed[S any](entities []Instance) []*Entity[S] {
	out := make([]*Entity[S], len(entities))
	for n, i := range entities {
		out[n] = own[S](i)
	}
	return out
}

// QueueLoad implements Definition.
func (f *Function[S]) QueueLoad(b *pgx.Batch, entities []Instance) { f.Load(b, typed[S](entities)) }

// QueueSave implements Definition.
func (f *Function[S]) QueueSave(b *pgx.Batch, entities []Instance) { f.Save(b, typed[S](entities)) }

// QueueLoadViews implements Definition.
func (f *Function[S]) QueueLoadViews(b *pgx.Batch, entities []Instance) {
	if f.LoadViews != nil {
		f.LoadViews(b, typed[S](entities))
	}
}

// QueueLoadAll implements Definition.
func (f *Function[S]) QueueLoadAll(b *pgx.Batch, entities []Instance) {
	f.LoadAll(b, typed[S](entities))
}

// RenderViews implements Definition.
func (f *Function[S]) RenderViews(i Instance) []views.View {
	if f.Views == nil || i.Header().Version == 0 {
		return nil
	}
	return f.Views(own[S](i))
}

// RenderAggregate implements Definition.
func (f *Function[S]) RenderAggregate(name string, a Aggregate) []views.View {
	if render := f.Aggregates[name]; render != nil {
		return render(a)
	}
	return nil
}
