package functiontest

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
)

// Store decides events as the runtime does, with the function's own queries on
// a real database: load what a batch needs, decide, save. It has neither
// deduplication nor streams.
type Store struct {
	fn    function.Definition
	conn  *pgx.Conn
	heads map[string]function.Head // by subject
}

// NewStore returns a store in a database that is migrated.
func NewStore(fn function.Definition, conn *pgx.Conn) *Store {
	return &Store{fn: fn, conn: conn, heads: map[string]function.Head{}}
}

// Batch decides events in one transaction, and returns the reasons of
// refusals: an empty one for each event that was applied.
func (s *Store) Batch(ctx context.Context, t TB, events []*event.Event) (refusals []string) {
	t.Helper()
	entities := map[string]function.Instance{}
	var list []function.Instance
	payloads := make([]any, len(events))
	for n, e := range events {
		payload, err := s.fn.Decode(e)
		if err != nil {
			t.Fatalf("decoding %s %s: %v", e.Type, e.Data, err)
		}
		payloads[n] = payload
		i := entities[e.Subject]
		if i == nil {
			i = s.entity(e.Subject)
			entities[e.Subject] = i
			list = append(list, i)
		}
		head := i.Header()
		head.Pending = append(head.Pending, function.Pending{Event: e, Payload: payload})
	}
	s.send(ctx, t, func(b *pgx.Batch) { s.fn.QueueLoad(b, list) })
	for n, e := range events {
		refusals = append(refusals, s.decide(t, entities[e.Subject], e, payloads[n]))
	}
	s.send(ctx, t, func(b *pgx.Batch) { s.fn.QueueSave(b, list) })
	for subject, i := range entities {
		s.heads[subject] = *i.Header()
	}
	return refusals
}

func (s *Store) decide(t TB, i function.Instance, e *event.Event, payload any) string {
	t.Helper()
	_, err := s.fn.Decide(i, e, payload)
	var refused *function.Refusal
	switch {
	case errors.As(err, &refused):
		return refused.Reason
	case err != nil:
		t.Fatalf("deciding %s %s: %v", e.Type, e.Data, err)
	}
	return ""
}

func (s *Store) entity(subject string) function.Instance {
	head := s.heads[subject]
	head.TenantID, head.Subject, head.Pending = Tenant, subject, nil
	return s.fn.NewEntity(head)
}

// State returns the whole state of an entity, as read from the database.
func (s *Store) State(ctx context.Context, t TB, subject string) string {
	t.Helper()
	i := s.entity(subject)
	s.send(ctx, t, func(b *pgx.Batch) { s.fn.QueueLoadAll(b, []function.Instance{i}) })
	state, err := i.StateJSON()
	if err != nil {
		t.Fatalf("rendering the state: %v", err)
	}
	return state
}

// send sends a batch; outside of a transaction it is one.
func (s *Store) send(ctx context.Context, t TB, queue func(*pgx.Batch)) {
	t.Helper()
	b := &pgx.Batch{}
	queue(b)
	if b.Len() == 0 {
		return
	}
	if err := s.conn.SendBatch(ctx, b).Close(); err != nil {
		t.Fatalf("%v", err)
	}
}
