package deadletters

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millrace/millrace/infra/operations"
	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/kafka"
)

// Sent is what a redrive did with a dead letter.
type Sent struct {
	Letter
	// Err says why it was not sent; then it is as it was.
	Err error
}

// Redrive sends the events of dead letters to their functions once more.
// s.States says from which states: of [Open] and [Redriving]. each is told of
// every page, when Kafka has it; its error ends the redrive.
//
// On an error some dead letters of a page may be left redriving without a record
// in Kafka: redriving them again is safe, and mends that.
func Redrive(ctx context.Context, pool *pgxpool.Pool, producer sarama.SyncProducer, s Selection, by operations.Operator, each func(context.Context, []Sent) error) error {
	p, err := begin(ctx, pool, &s)
	if err != nil {
		return err
	}
	for {
		all, why, err := p.change(ctx, pool, s, by, "redrive", Redriving, Unfit)
		if err != nil {
			return fmt.Errorf("setting dead letters to redriving: %w", err)
		}
		if len(all) == 0 {
			return nil
		}
		// A crash here: see the package's comment.
		if err := send(producer, all, why); err != nil {
			return err
		}
		if err := each(ctx, results(all, why)); err != nil {
			return err
		}
	}
}

// Preview says what Redrive would do, and does nothing: nobody waits for it, and
// it waits for nobody.
func Preview(ctx context.Context, pool *pgxpool.Pool, s Selection, each func(context.Context, []Sent) error) error {
	p, err := begin(ctx, pool, &s)
	if err != nil {
		return err
	}
	for {
		all, _, err := p.read(ctx, pool, nextPage, s)
		if err != nil {
			return fmt.Errorf("reading dead letters: %w", err)
		}
		if len(all) == 0 {
			return nil
		}
		p.at = all[len(all)-1].CreatedAt
		why := make([]error, len(all))
		for n := range all {
			why[n] = Unfit(&all[n])
		}
		if err := each(ctx, results(all, why)); err != nil {
			return err
		}
	}
}

func results(all []Whole, why []error) []Sent {
	sent := make([]Sent, len(all))
	for n := range all {
		sent[n] = Sent{all[n].Letter, why[n]}
	}
	return sent
}

// Unfit says why a dead letter cannot be redriven, or nil.
func Unfit(w *Whole) error {
	if !slices.Contains(topics.Functions(), w.Function) {
		return fmt.Errorf("there is no function %s", w.Function)
	}
	received := event.ParseStructured(w.Event)
	if received.Event == nil && w.AttributesOnly() {
		return errors.New("it could not be read, and only its attributes were kept (docs/redaction.md): have its producer send it as it should be, and drop it")
	}
	if received.Event == nil {
		return fmt.Errorf("its bytes are no event that a function can read (%w): have its producer send it as it should be, and drop it", received.Err)
	}
	if n := len(value(w, received.Event)); n > kafka.MaxMessageBytes-overhead {
		return fmt.Errorf("with %d bytes it is too large for Kafka", n)
	}
	return nil
}

// overhead is more than Kafka adds to a record, and its key and header.
const overhead = 2048

// value is the event that names its dead letter.
func value(w *Whole, e *event.Event) []byte {
	_ = e.SetAttribute(event.DeadLetterExtension, w.ID.String()) // of a good name; what is one too many the function says
	return event.AppendJSON(nil, e)
}

func send(producer sarama.SyncProducer, all []Whole, why []error) error {
	var records []*sarama.ProducerMessage
	for n := range all {
		if why[n] != nil {
			continue
		}
		e := event.ParseStructured(all[n].Event).Event
		records = append(records, &sarama.ProducerMessage{
			Topic: topics.Events(all[n].Function), Key: sarama.StringEncoder(e.Subject), Value: sarama.ByteEncoder(value(&all[n], e)),
			Headers: []sarama.RecordHeader{{Key: []byte("content-type"), Value: []byte("application/cloudevents+json; charset=UTF-8")}},
		})
	}
	if len(records) == 0 {
		return nil
	}
	err := producer.SendMessages(records)
	if refused, ok := errors.AsType[sarama.ProducerErrors](err); ok {
		return fmt.Errorf("Kafka did not take %d of %d events, the first: %w; their dead letters stay redriving: run it again", len(refused), len(records), refused[0].Err)
	}
	if err != nil {
		return fmt.Errorf("putting events into Kafka: %w; their dead letters stay redriving: run it again", err)
	}
	return nil
}
