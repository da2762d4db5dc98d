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
	// Publish returns nil once Kafka has all messages for good. Messages of one
	// key arrive in their order. An *UnsentError says which did not get there;
	// after any other error any of them may have.
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
