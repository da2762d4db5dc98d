package outbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/IBM/sarama"
)

// Producer is the Publisher for Kafka. It connects when it is first needed and
// anew after every failure, so that a process may start before its Kafka.
type Producer struct {
	brokers []string
	config  *sarama.Config
	// turn is held by whoever sends: one at a time, for the order.
	turn   chan struct{}
	client sarama.SyncProducer // nil: not connected
}

// NewProducer makes a Producer without connecting.
func NewProducer(brokers []string, config *sarama.Config) (*Producer, error) {
	if len(brokers) == 0 {
		return nil, errors.New("a Kafka producer needs brokers")
	}
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("a Kafka producer: %w", err)
	}
	return &Producer{brokers: brokers, config: config, turn: make(chan struct{}, 1)}, nil
}

// Publish implements Publisher. When ctx ends it returns, but what is being
// sent may still arrive; the next call waits for that, and so keeps the order.
//
// A crash in here leaves any part of the messages in Kafka; the outbox has them
// all, and they are sent again.
func (p *Producer) Publish(ctx context.Context, messages []Message) error {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("waiting for the Kafka producer: %w", ctx.Err())
	}
	sent := make(chan error, 1)
	go func() {
		defer func() { <-p.turn }()
		sent <- p.send(messages)
	}()
	select {
	case err := <-sent:
		return err
	case <-ctx.Done():
		return fmt.Errorf("putting %d records into Kafka: %w", len(messages), ctx.Err())
	}
}

func (p *Producer) send(messages []Message) error {
	if p.client == nil {
		client, err := sarama.NewSyncProducer(p.brokers, p.config)
		if err != nil {
			return &UnsentError{Unsent: places(len(messages)), Cause: fmt.Errorf("connecting to Kafka: %w", err)}
		}
		p.client = client
	}
	records := make([]*sarama.ProducerMessage, len(messages))
	for n := range messages {
		records[n] = messages[n].record(n)
	}
	err := p.client.SendMessages(records)
	if err == nil {
		return nil
	}
	// A producer that failed holds back records for seconds (its circuit
	// breaker) and has given up numbers of its sequence: a new one starts clean.
	// Nothing is in flight any more, so nothing is reordered.
	_ = p.client.Close()
	p.client = nil
	return unsent(err, len(messages))
}

// Close closes the connection once nothing is being sent.
func (p *Producer) Close() error {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	if p.client == nil {
		return nil
	}
	err := p.client.Close()
	p.client = nil
	return err
}

// record makes sarama's form of the message at a place.
func (m *Message) record(place int) *sarama.ProducerMessage {
	record := &sarama.ProducerMessage{Topic: m.Topic, Value: sarama.ByteEncoder(m.Value), Metadata: place}
	if m.Key != "" {
		record.Key = sarama.StringEncoder(m.Key)
	}
	for _, h := range m.Headers {
		record.Headers = append(record.Headers, sarama.RecordHeader{Key: []byte(h.Name), Value: []byte(h.Value)})
	}
	return record
}

func unsent(err error, messages int) error {
	var failed sarama.ProducerErrors
	if !errors.As(err, &failed) {
		return &UnsentError{Unsent: places(messages), Cause: err}
	}
	out := &UnsentError{}
	lost := map[int]bool{}
	for _, f := range failed {
		if place, ok := f.Msg.Metadata.(int); ok {
			lost[place] = true
		}
		out.Cause = f.Err
	}
	for n := range messages {
		if lost[n] {
			out.Unsent = append(out.Unsent, n)
		}
	}
	return out
}

func places(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}
