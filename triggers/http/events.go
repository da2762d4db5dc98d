package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/shared/binding"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/kafka"
)

// receipt says where the events of a request are.
type receipt struct {
	Events []receiptOfOne `json:"events"`
}

type receiptOfOne struct {
	ID        string `json:"id"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

// serveDelivery takes events as a Broker posts them: its answer has to be empty,
// or it would be taken for an event in reply.
func (g *Gateway) serveDelivery(ctx context.Context, v *visit) error {
	if v.who.trusted {
		return g.serveTrigger(ctx, v)
	}
	if _, err := g.takeEvents(ctx, v); err != nil {
		return err
	}
	v.w.WriteHeader(http.StatusAccepted)
	return nil
}

// serveEvents takes the same, and answers with a receipt.
func (g *Gateway) serveEvents(ctx context.Context, v *visit) error {
	r, err := g.takeEvents(ctx, v)
	if err != nil {
		return err
	}
	return v.answer(http.StatusAccepted, r)
}

// servePlain takes the data of one event as plain JSON.
func (g *Gateway) servePlain(ctx context.Context, v *visit) error {
	received, err := g.readPlain(ctx, v)
	if err != nil {
		return err
	}
	r, err := g.take(ctx, v, received)
	if err != nil {
		return err
	}
	return v.answer(http.StatusAccepted, r)
}

func (g *Gateway) takeEvents(ctx context.Context, v *visit) (receipt, error) {
	received, release, err := g.reader.Events(ctx, v.w, v.r)
	if err != nil {
		return receipt{}, err
	}
	v.give(release)
	return g.take(ctx, v, received)
}

// take puts events into Kafka. All are there, or there is an error: then some
// may be, and a repeat makes duplicates, which the functions know.
func (g *Gateway) take(ctx context.Context, v *visit, received []event.Received) (receipt, error) {
	if err := g.enter(ctx, v); err != nil {
		return receipt{}, err
	}
	events, err := g.accept(received, v.who)
	if err != nil {
		return receipt{}, err
	}
	records, err := g.put(ctx, v, events, nil)
	if err != nil {
		return receipt{}, err
	}
	out := receipt{Events: make([]receiptOfOne, len(events))}
	for n, e := range events {
		out.Events[n] = receiptOfOne{e.ID, records[n].Topic, records[n].Partition, records[n].Offset}
	}
	return out, nil
}

// put returns the records that Kafka has: those of the events, and others.
func (g *Gateway) put(ctx context.Context, v *visit, events []*event.Event, others []*sarama.ProducerMessage) ([]*sarama.ProducerMessage, error) {
	told := g.follow(v, "accept", events)
	records := make([]*sarama.ProducerMessage, len(events), len(events)+len(others))
	for n, e := range events {
		records[n] = record(e)
	}
	if records = append(records, others...); len(records) > 0 {
		v.stay() // what is being sent needs the room, also when nobody waits any more
		err := g.producer.send(ctx, records, v.leave)
		told(err)
		if err != nil {
			return nil, &unavailableError{"Kafka has not acknowledged the events in time; send them again with the same ids: what is there already is known by them", err}
		}
	}
	for _, e := range events {
		g.metrics.events.WithLabelValues(e.Function()).Inc()
	}
	return records, nil
}

func record(e *event.Event) *sarama.ProducerMessage {
	return &sarama.ProducerMessage{
		Topic: kafka.Events(e.Function()), Key: sarama.StringEncoder(recordKey(e)), Value: sarama.ByteEncoder(event.AppendJSON(nil, e)),
		Headers: []sarama.RecordHeader{{Key: []byte("content-type"), Value: []byte(binding.StructuredMedia + "; charset=UTF-8")}},
	}
}

// answer writes a JSON answer.
func (v *visit) answer(status int, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("writing an answer: %w", err)
	}
	v.w.Header().Set("Content-Type", "application/json")
	v.w.WriteHeader(status)
	_, _ = v.w.Write(text) // the client may be gone: the events are in Kafka all the same
	return nil
}
