package outbox

import (
	"context"
	"fmt"
)

// Message is one record for Kafka.
type Message struct {
	Topic   string
	Key     string // empty: any partition
	Value   []byte
	Headers []Header
}

// Header is one header of a record.
type Header struct{ Name, Value string }

// A Publisher puts records into Kafka.
type Publisher interface {
	// Publish returns nil once Kafka has all messages for good, those of one key
	// in their order. An *UnsentError says which are not confirmed; later ones of
	// their key may be, and so come before them when they are published again:
	// the order of effect is the events' sequence, not that of the wire. After
	// any other error any of the messages may have arrived.
	Publish(ctx context.Context, messages []Message) error
}

// UnsentError says that some messages were not confirmed by Kafka.
type UnsentError struct {
	// Unsent are their places among the messages, in order.
	Unsent []int
	Cause  error
}

func (e *UnsentError) Error() string {
	return fmt.Sprintf("%d messages were not confirmed by Kafka: %v", len(e.Unsent), e.Cause)
}

func (e *UnsentError) Unwrap() error { return e.Cause }
