package function

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/money"
	"github.com/millrace/millrace/shared/views"
)

// Function describes one event family whose entities have the state S.
//
// The three loaders queue queries on a pgx.Batch and fill the State of the
// entities from the rows. They run after the entities are locked (or, for
// LoadViews and LoadAll, in one snapshot), each with a snapshot that sees all
// that was committed before. A loader adds to State: it may run twice for one
// entity, each time with other Pending events, before anything is decided.
type Function[S any] struct {
	// Name is the first word of the types it handles, such as "trade".
	Name string
	// Rules are made by On, one for each event type.
	Rules []Rule[S]
	// Load reads what deciding the entities' Pending events needs.
	Load func(b *pgx.Batch, entities []*Entity[S])
	// Save queues the statements that write what the decisions changed. How
	// many there are must not depend on the number of entities.
	Save func(b *pgx.Batch, entities []*Entity[S])
	// LoadViews reads all that Views shows of the entities. Both are nil if
	// only aggregates are shown.
	LoadViews func(b *pgx.Batch, entities []*Entity[S])
	// LoadAll reads the whole state of the entities, as folding their audit
	// rows from the beginning gives it.
	LoadAll func(b *pgx.Batch, entities []*Entity[S])
	// Views renders what Redis shows of an entity: pure, and for a state that
	// holds only what a batch loaded and changed, just the views of that. An
	// entity whose events are all parked shows nothing: it is not called.
	Views func(e *Entity[S]) []views.View
	// Aggregates renders the views of a changed aggregate, by its name.
	Aggregates map[string]func(a Aggregate) []views.View
}

// Entity is one account, conversation or agent of one function.
type Entity[S any] struct {
	Head
	State S
}

// Head is what the runtime knows of an entity.
type Head struct {
	TenantID string
	Subject  string
	// Version counts the decisions: 0 before the first one.
	Version int64
	// Counters holds the last sequence of the events emitted to each target.
	Counters map[string]int64
	// Pending are the events about to be decided, in their order.
	Pending []Pending
}

// Pending is an event about to be decided, for loaders: its payload says what
// they have to read.
type Pending struct {
	*event.Event
	Payload any // of the type in the event's rule
}

// Aggregate is the state of an aggregate key: the sums of its fields over all
// buckets, and the sum of all their versions.
type Aggregate struct {
	TenantID string
	Key      string
	Version  int64
	Fields   map[string]money.Decimal
}

// Event is what a rule gets: the event, and the version that its decision
// takes in the entity's order.
type Event struct {
	*event.Event
	Version int64
}

// Payload is the data of an event type. Validate says what is wrong with it;
// it is called before the event is decided, and what it refuses is a dead
// letter. Members unknown to the type are refused too.
type Payload interface{ Validate() error }

// Rule decides the events of one type. Make it with On.
type Rule[S any] struct {
	eventType string
	payload   func() Payload
	decode    func(data []byte) (any, error)
	decide    func(s *S, e Event, payload any, fx *Effects) error
}

// On makes the rule for an event type with the payload P. decide changes the
// state and adds effects, or returns Refuse before it changed anything.
func On[S any, P Payload](eventType string, decide func(s *S, e Event, p P, fx *Effects) error) Rule[S] {
	return Rule[S]{
		eventType: eventType,
		payload:   func() Payload { var p P; return p },
		decode: func(data []byte) (any, error) {
			p, err := decodePayload[P](data)
			if err != nil {
				return nil, err
			}
			return p, nil
		},
		decide: func(s *S, e Event, payload any, fx *Effects) error {
			p, ok := payload.(P)
			if !ok {
				return fmt.Errorf("the payload is %T, want %T", payload, p)
			}
			return decide(s, e, p, fx)
		},
	}
}

// Refusal is a decision against an event: it is final, takes the entity's next
// version, and stands in the audit log.
type Refusal struct { //nolint:errname // the word of the contract, read as function.Refusal
	Reason string // a word or two with hyphens, the same for every such case
	Detail string
}

func (r *Refusal) Error() string { return r.Reason + ": " + r.Detail }

// Refuse makes a Refusal.
func Refuse(reason, format string, args ...any) error {
	return &Refusal{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// Types returns the event types that f has rules for, sorted.
func (f *Function[S]) Types() []string {
	types := make([]string, 0, len(f.Rules))
	for _, r := range f.Rules {
		types = append(types, r.eventType)
	}
	slices.Sort(types)
	return types
}

// SamplePayload implements Definition.
func (f *Function[S]) SamplePayload(eventType string) Payload {
	if r := f.rule(eventType); r != nil {
		return r.payload()
	}
	return nil
}

func (f *Function[S]) rule(eventType string) *Rule[S] {
	for i := range f.Rules {
		if f.Rules[i].eventType == eventType {
			return &f.Rules[i]
		}
	}
	return nil
}

// StateJSON renders a state for people and for comparisons.
func StateJSON(state any) (string, error) {
	out, err := json.Marshal(state)
	if err != nil {
		return "", fmt.Errorf("rendering a state: %w", err)
	}
	return string(out), nil
}
