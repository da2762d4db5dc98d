package outbox

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/kafka"
)

const (
	contentType     = "content-type"
	structuredMedia = "application/cloudevents+json; charset=UTF-8"
)

// send puts the claims' emitted events and dead letters into Kafka, in the
// order of the claims: all in one go, unless the dead letters are too large for
// that. What Kafka has is done; a crash before the outbox knows of it sends it
// again, with the same ids.
func (r *Relay) send(ctx context.Context, works []*work) error {
	s := &sending{relay: r, unsent: map[*event.Event]bool{}, done: map[uuid.UUID]bool{}}
	var letters []uuid.UUID
	for _, w := range works {
		s.emit(w)
		letters = append(letters, w.DeadLetters...)
	}
	var errs []error
	for len(s.messages) > 0 || len(letters) > 0 {
		page, more, err := r.readDeadLetters(ctx, letters)
		errs, letters = append(errs, err), more
		s.bury(page)
		err = s.publish(ctx)
		errs = append(errs, err)
		if err != nil {
			break
		}
	}
	for _, w := range works {
		w.rest.emitted = without(w.Emitted, func(e *event.Event) bool { return !s.unsent[e] })
		w.rest.deadLetters = without(w.DeadLetters, func(id uuid.UUID) bool { return s.done[id] })
	}
	return errors.Join(errs...)
}

// sending is one call of send.
type sending struct {
	relay    *Relay
	messages []Message // to be published next
	of       []origin  // what each of them tells

	unsent map[*event.Event]bool
	done   map[uuid.UUID]bool // dead letters that are sent, or gone
}

// origin is an emitted event or a dead letter.
type origin struct {
	event  *event.Event
	letter uuid.UUID
}

func (s *sending) emit(w *work) {
	if len(w.encoded) != len(w.Emitted) { // a claim that was neither written nor read here
		_, w.encoded = encodeEvents(w.Emitted)
	}
	for n, e := range w.Emitted {
		s.unsent[e] = true
		s.of = append(s.of, origin{event: e})
		s.messages = append(s.messages, Message{
			Topic: kafka.Events(e.Function()), Key: e.Subject, Value: w.encoded[n],
			Headers: []Header{{contentType, structuredMedia}},
		})
	}
}

func (s *sending) bury(page []deadLetter) {
	for _, d := range page {
		if d.gone {
			s.done[d.id] = true // somebody removed it: there is nothing to tell
			continue
		}
		s.of = append(s.of, origin{letter: d.id})
		s.messages = append(s.messages, d.message())
	}
}

// publish sends the messages and notes which arrived.
func (s *sending) publish(ctx context.Context) error {
	if len(s.messages) == 0 {
		return nil
	}
	started := time.Now()
	err := s.relay.cfg.Producer.Publish(ctx, s.messages)
	arrived := s.arrived(err)
	for n, of := range s.of {
		if !arrived[n] {
			continue
		}
		if of.event != nil {
			delete(s.unsent, of.event)
			s.relay.stats.emitted.Add(1)
			s.relay.traceEmitted(of.event, started)
		} else {
			s.done[of.letter] = true
			s.relay.stats.deadLetters.Add(1)
		}
	}
	s.messages, s.of = nil, nil
	if slices.Contains(arrived, true) {
		s.relay.kafkaOut.worked() // what failed beside it is no outage
		return err
	}
	return s.relay.kafkaOut.note(ctx, err)
}

func (s *sending) arrived(err error) []bool {
	arrived := make([]bool, len(s.messages))
	var partly *UnsentError
	if err != nil && !errors.As(err, &partly) {
		return arrived
	}
	for n := range arrived {
		arrived[n] = true
	}
	if partly != nil {
		for _, n := range partly.Unsent {
			arrived[n] = false
		}
	}
	return arrived
}
