package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/IBM/sarama"
)

// One send to the dead-letter topic: Kafka takes or refuses all that one send
// has for one partition together, against a limit of 1 MiB by default.
const (
	lettersAtOnce     = 100
	letterBytesAtOnce = 512 << 10
)

// deadLetters puts records into their dead-letter topics, raw. It has a
// goroutine of its own, so that a topic that is down stops no worker: what
// piles up is bounded by the window, since nothing behind a dead letter is
// marked before it is in its topic.
type deadLetters struct {
	t    *Trigger
	open func() (sarama.SyncProducer, error)
	wake chan struct{}

	mu    sync.Mutex
	queue []*record

	producer sarama.SyncProducer // of run alone
}

func newDeadLetters(t *Trigger, open func() (sarama.SyncProducer, error)) *deadLetters {
	return &deadLetters{t: t, open: open, wake: make(chan struct{}, 1)}
}

func (d *deadLetters) put(r *record, f fault) {
	r.fault = &f
	d.mu.Lock()
	d.queue = append(d.queue, r)
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// run sends until ctx ends; what then is left was never marked.
func (d *deadLetters) run(ctx context.Context) {
	defer d.close()
	for attempt := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-d.wake:
		}
		for records := d.next(); len(records) > 0; records = d.next() {
			err := d.send(records)
			if err == nil {
				attempt = 0
				continue
			}
			attempt++
			d.t.metrics.retries.WithLabelValues("dead-letter").Inc()
			d.t.log.Error("dead letters not accepted, tried again", "records", len(records), "attempt", attempt, "error", err)
			if !d.t.pause(ctx, attempt) {
				return
			}
		}
	}
}

// next takes as many as go into one send.
func (d *deadLetters) next() []*record {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for bytes := 0; n < len(d.queue) && n < lettersAtOnce; n++ {
		if bytes += d.queue[n].size; n > 0 && bytes > letterBytesAtOnce {
			break
		}
	}
	records := slices.Clone(d.queue[:n])
	d.queue = slices.Delete(d.queue, 0, n)
	return records
}

// send lands what was accepted and queues the rest again, behind the others.
func (d *deadLetters) send(records []*record) error {
	f := d.t.window.begin(records, func() {})
	accepted, rest, err := d.produce(f.records)
	d.report(accepted)
	// The dead-letter topic has them, on all replicas in sync. A crash here:
	// they are read again, and it has them twice.
	d.t.window.land(f, accepted)
	d.mu.Lock()
	d.queue = append(d.queue, rest...)
	d.mu.Unlock()
	return err
}

// report counts all, and logs the first: where poison comes it comes in floods.
func (d *deadLetters) report(accepted []*record) {
	for _, r := range accepted {
		d.t.metrics.deadLetters.WithLabelValues(r.fault.Reason).Inc()
	}
	if len(accepted) > 0 {
		r := accepted[0]
		d.t.log.Warn("records became dead letters", "records", len(accepted), "topic", r.claim.topic, "partition", r.claim.partition,
			"first", r.offset, "error", r.fault.String())
	}
}

func (d *deadLetters) produce(records []*record) (accepted, rest []*record, err error) {
	if len(records) == 0 {
		return nil, nil, nil
	}
	if d.producer == nil {
		if d.producer, err = d.open(); err != nil {
			d.producer = nil
			return nil, records, fmt.Errorf("connecting: %w", err)
		}
	}
	messages := make([]*sarama.ProducerMessage, len(records))
	for i, r := range records {
		messages[i] = d.message(r)
	}
	err = d.producer.SendMessages(messages)
	if err == nil {
		return records, nil, nil
	}
	accepted, rest = split(records, err)
	if len(accepted) == 0 { // a fresh producer may do better
		d.close()
	}
	return accepted, rest, err
}

// split tells accepted from failed messages by what SendMessages returned.
func split(records []*record, err error) (accepted, rest []*record) {
	var failed sarama.ProducerErrors
	if !errors.As(err, &failed) {
		return nil, records
	}
	bad := map[*record]bool{}
	var largest *record // of those that are too large, together or alone
	for _, f := range failed {
		if r, ok := f.Msg.Metadata.(*record); ok {
			bad[r] = true
			if errors.Is(f.Err, sarama.ErrMessageSizeTooLarge) && (largest == nil || largest.kept() < r.kept()) {
				largest = r
			}
		}
	}
	if largest != nil {
		largest.shorten()
	}
	for _, r := range records {
		if bad[r] {
			rest = append(rest, r)
		} else {
			accepted = append(accepted, r)
		}
	}
	return accepted, rest
}

func (d *deadLetters) close() {
	if d.producer != nil {
		_ = d.producer.Close() // SendMessages has returned: nothing is left in it
		d.producer = nil
	}
}
