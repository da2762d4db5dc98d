package kafka

import (
	"context"

	"github.com/IBM/sarama"
)

// chunkBytes is the size of the pieces that converted events are written into:
// one allocation for many events, and little that one slow event keeps alive.
const chunkBytes = 64 << 10

// intake turns the messages of one claim into records.
type intake struct {
	t         *Trigger
	claim     *claim
	converter *converter
	chunk     []byte
}

// ConsumeClaim takes records in until the claim ends. It never waits for the
// window: a full one pauses fetching instead, so that the end of the claim is
// seen at once and other partitions of the same broker are not held up.
func (t *Trigger) ConsumeClaim(session sarama.ConsumerGroupSession, kc sarama.ConsumerGroupClaim) error {
	c := t.claim(session, kc)
	t.window.open(c)
	t.log.Info("partition claimed", "topic", c.topic, "partition", c.partition, "offset", kc.InitialOffset())
	in := &intake{t: t, claim: c, converter: newConverter(t.extensions)}
	in.converter.traceTo(t.tracer)
	in.read(session.Context(), kc.Messages())
	t.window.revoke(c, t.cfg.DrainTimeout)
	t.log.Info("partition given up", "topic", c.topic, "partition", c.partition)
	return nil
}

func (t *Trigger) claim(session sarama.ConsumerGroupSession, kc sarama.ConsumerGroupClaim) *claim {
	c := newClaim(kc.Topic(), kc.Partition())
	partition := map[string][]int32{c.topic: {c.partition}}
	c.marker = func(next int64) { session.MarkOffset(c.topic, c.partition, next, "") }
	c.next, c.end = kc.InitialOffset(), kc.HighWaterMarkOffset
	c.pause = func() { t.group.Pause(partition) }
	c.resume = func() { t.group.Resume(partition) }
	return c
}

func (in *intake) read(ctx context.Context, messages <-chan *sarama.ConsumerMessage) {
	for {
		select {
		case <-ctx.Done():
			return
		case m, ok := <-messages:
			if !ok {
				return
			}
			in.take(m)
		}
	}
}

func (in *intake) take(m *sarama.ConsumerMessage) {
	in.t.metrics.read.Inc()
	r := &record{msg: m, claim: in.claim, offset: m.Offset, at: m.Timestamp, size: rawSize(m)}
	event, e, cause := in.convert(m, r.size)
	r.event = event
	r.delivery = in.converter.delivery()
	r.size += len(event)
	in.t.window.add(r, e)
	if cause != nil {
		in.t.deadLetters.put(r, undecodable(cause))
	}
}

func (in *intake) convert(m *sarama.ConsumerMessage, size int) ([]byte, entity, error) {
	if cap(in.chunk)-len(in.chunk) < size+size/2+256 {
		in.chunk = make([]byte, 0, max(chunkBytes, 2*size))
	}
	start := len(in.chunk)
	chunk, e, err := in.converter.convert(in.chunk, m)
	in.chunk = chunk
	if err != nil {
		return nil, e, err
	}
	return chunk[start:len(chunk):len(chunk)], e, nil
}

// rawSize is what a record takes of the window, with a guess at the cost of its
// structs.
func rawSize(m *sarama.ConsumerMessage) int {
	size := 200 + len(m.Key) + len(m.Value)
	for _, h := range m.Headers {
		size += 64 + len(h.Key) + len(h.Value)
	}
	return size
}
