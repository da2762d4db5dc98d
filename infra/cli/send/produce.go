package send

import (
	"errors"
	"fmt"
	"strings"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/shared/kafka"
)

// Stored says where Kafka has an event.
type Stored struct {
	Event
	Partition int32
	Offset    int64
}

// Producer puts events into Kafka, each acknowledged by all in-sync replicas
// and, within one call, without duplicates from retries.
type Producer struct{ sync sarama.SyncProducer }

// NewProducer connects to Kafka.
func NewProducer(brokers []string, s kafka.Security) (*Producer, error) {
	producer, err := sarama.NewSyncProducer(brokers, kafka.CommandConfig("millrace-send", s))
	if err != nil {
		return nil, fmt.Errorf("connecting to Kafka at %s: %w", strings.Join(brokers, ","), err)
	}
	return &Producer{sync: producer}, nil
}

// Send returns when Kafka has all events. On an error it returns those that
// Kafka has.
func (p *Producer) Send(events []Event) ([]Stored, error) {
	messages := make([]*sarama.ProducerMessage, len(events))
	for i, e := range events {
		messages[i] = &sarama.ProducerMessage{
			Topic: e.Topic, Value: sarama.ByteEncoder(e.Value), Metadata: i,
			Headers: []sarama.RecordHeader{{
				Key: []byte("content-type"), Value: []byte("application/cloudevents+json; charset=UTF-8"),
			}},
		}
		if e.Key != "" {
			messages[i].Key = sarama.StringEncoder(e.Key)
		}
	}
	err := p.sync.SendMessages(messages)
	failed := map[int]bool{}
	if refused, ok := errors.AsType[sarama.ProducerErrors](err); ok {
		for _, one := range refused {
			if i, ok := one.Msg.Metadata.(int); ok {
				failed[i] = true
			}
		}
		err = fmt.Errorf("Kafka did not take %d of %d events, the first: %w", len(refused), len(events), refused[0].Err)
	}
	stored := make([]Stored, 0, len(events))
	for i, m := range messages {
		if !failed[i] {
			stored = append(stored, Stored{Event: events[i], Partition: m.Partition, Offset: m.Offset})
		}
	}
	return stored, err
}

// Close ends the connection.
func (p *Producer) Close() error { return p.sync.Close() }
