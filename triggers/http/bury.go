package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/shared/binding"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/fault"
)

// serveTrigger takes what a Broker's Trigger brings. The Broker has acknowledged
// it, and drops what is refused: so what cannot be taken becomes a dead letter in
// Kafka, and only what may pass later gets an error.
func (g *Gateway) serveTrigger(ctx context.Context, v *visit) error {
	body, size, release, err := g.reader.Whole(ctx, v.r)
	if fault.KindOf(err) == fault.Unreadable { // it broke off: a Broker sends again what gets 408
		err = fault.New(fault.TooSlow, "%s", detail(err))
	}
	if err != nil {
		return err
	}
	v.give(release)
	if err := g.enter(ctx, v); err != nil {
		return err
	}
	events, letters := g.judge(v, body, size)
	if err := g.putAll(ctx, v, events, letters); err != nil {
		return err
	}
	g.tell(ctx, letters)
	v.w.WriteHeader(http.StatusAccepted)
	return nil
}

// judge tells the events of a request that can be taken from what cannot.
func (g *Gateway) judge(v *visit, body []byte, size int64) (events []*event.Event, letters []letter) {
	received, err := g.reader.Parse(v.r, body)
	if size > int64(len(body)) {
		err = g.reader.TooLarge()
	}
	if err != nil {
		return nil, []letter{requestLetter(v.r, body, err)}
	}
	now := time.Now()
	batch := mediaOf(v.r) == binding.BatchMedia
	for _, r := range received {
		err := g.check(r, v.who, now)
		switch {
		case err == nil:
			events = append(events, r.Event)
		case batch:
			letters = append(letters, newLetter(v.r, r.Raw, binding.StructuredMedia, event.Attributes(r.Raw), err))
		default:
			letters = append(letters, requestLetter(v.r, body, err))
		}
	}
	return events, letters
}

// putAll is put for events and dead letters together. A topic that takes smaller
// records than it should gets smaller letters.
func (g *Gateway) putAll(ctx context.Context, v *visit, events []*event.Event, letters []letter) error {
	for {
		records := make([]*sarama.ProducerMessage, len(letters))
		for n, l := range letters {
			records[n] = l.Message(l.keep)
		}
		_, err := g.put(ctx, v, events, records)
		if !errors.Is(err, sarama.ErrMessageSizeTooLarge) || !halve(letters) {
			return err
		}
	}
}

// tell counts dead letters, and logs the first: where poison comes it comes in
// floods.
func (g *Gateway) tell(ctx context.Context, letters []letter) {
	for _, l := range letters {
		g.metrics.deadLetters.WithLabelValues(l.Topic, l.kind.String()).Inc()
	}
	if len(letters) > 0 {
		l := letters[0]
		g.log.WarnContext(ctx, "what a broker brought became dead letters", "events", len(letters), "topic", l.Topic, "error", l.Cause.String())
	}
}
