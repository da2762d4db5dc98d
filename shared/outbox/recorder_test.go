package outbox

import (
	"context"
	"sync"
)

// recorder is a Kafka that keeps what it gets.
type recorder struct {
	mu       sync.Mutex
	messages []Message
	calls    int
	// before and after may fail a call; after, it took effect.
	before, after func([]Message) error
}

func (r *recorder) Publish(_ context.Context, messages []Message) error {
	r.mu.Lock()
	before, after := r.before, r.after
	r.mu.Unlock()
	if before != nil {
		if err := before(messages); err != nil {
			return err
		}
	}
	r.mu.Lock()
	r.calls++
	r.messages = append(r.messages, messages...)
	r.mu.Unlock()
	if after != nil {
		return after(messages)
	}
	return nil
}

func (r *recorder) fail(before, after func([]Message) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.before, r.after = before, after
}

func (r *recorder) count(topic, value string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.messages {
		if m.Topic == topic && string(m.Value) == value {
			n++
		}
	}
	return n
}

func (r *recorder) topic(name string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.messages {
		if m.Topic == name {
			n++
		}
	}
	return n
}

// unsentOf fails the messages of a topic.
func unsentOf(topic string) func([]Message) error {
	return func(messages []Message) error {
		out := &UnsentError{Cause: errFault}
		for n, m := range messages {
			if m.Topic == topic {
				out.Unsent = append(out.Unsent, n)
			}
		}
		if len(out.Unsent) == 0 {
			return nil
		}
		return out
	}
}

// failOn makes the recorder lose the messages of a topic, or only their
// confirmation.
func (r *recorder) failOn(topic string, f failure) {
	switch f {
	case none:
		r.fail(nil, nil)
	case tookEffect:
		r.fail(nil, unsentOf(topic))
	case failed:
		r.fail(nil, func(messages []Message) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.messages = without(r.messages, func(m Message) bool { return m.Topic == topic })
			return unsentOf(topic)(messages)
		})
	}
}
