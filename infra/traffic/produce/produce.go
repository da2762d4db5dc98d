// Package produce puts traffic into Kafka, at its pace.
//
// A crash leaves a part of the traffic in Kafka. The same settings send the
// same again, and what arrived before is deduplicated.
package produce

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/infra/traffic"
	"github.com/millrace/millrace/shared/fault"
	"github.com/millrace/millrace/shared/kafka"
)

// Producer puts records into Kafka: acknowledged by all in-sync replicas, those
// of one key in their order.
type Producer struct {
	async sarama.AsyncProducer
	acked atomic.Int64
	onWay sync.WaitGroup // the records that Kafka has neither acknowledged nor refused
	// ended is closed when nothing is on its way any more, after Close.
	ended chan struct{}
	close sync.Once

	mu  sync.Mutex
	err error // the first
}

// New connects to Kafka.
func New(brokers []string, s kafka.Security) (*Producer, error) {
	async, err := sarama.NewAsyncProducer(brokers, kafka.CommandConfig("millrace-traffic", s))
	if err != nil {
		return nil, fmt.Errorf("connecting to Kafka at %s: %w", strings.Join(brokers, ","), err)
	}
	p := &Producer{async: async, ended: make(chan struct{})}
	go p.listen()
	return p, nil
}

func (p *Producer) listen() {
	defer close(p.ended)
	var failures sync.WaitGroup
	failures.Go(func() {
		for failure := range p.async.Errors() {
			p.fail(failure.Err)
			p.onWay.Done()
		}
	})
	for range p.async.Successes() {
		p.acked.Add(1)
		p.onWay.Done()
	}
	failures.Wait()
}

func (p *Producer) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = fmt.Errorf("Kafka did not take a record: %w", err)
	}
}

func (p *Producer) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Send hands a record over, and waits while too many are on their way. Its
// error is the first of all sends so far.
func (p *Producer) Send(ctx context.Context, r traffic.Record) error {
	message := &sarama.ProducerMessage{Topic: r.Topic}
	if r.Value != nil {
		message.Value = sarama.ByteEncoder(r.Value)
	}
	if r.Key != nil {
		message.Key = sarama.ByteEncoder(r.Key)
	}
	for _, h := range r.Headers {
		message.Headers = append(message.Headers, sarama.RecordHeader{Key: []byte(h.Name), Value: []byte(h.Value)})
	}
	p.onWay.Add(1)
	select {
	case p.async.Input() <- message:
		return p.failed()
	case <-ctx.Done():
		p.onWay.Done()
		return ctx.Err()
	}
}

// Acked is how many records Kafka has acknowledged.
func (p *Producer) Acked() int { return int(p.acked.Load()) }

// Close returns when Kafka has all that was sent, or has refused it. Its error
// is the first of all sends. No Send may follow.
func (p *Producer) Close() error {
	// sarama, told to close, gives up what it is about to send again.
	p.onWay.Wait()
	p.close.Do(p.async.AsyncClose)
	<-p.ended
	return p.failed()
}

// Await waits until a record is due that began to be due at began; false if ctx
// ends first.
func Await(ctx context.Context, began time.Time, at time.Duration) bool {
	wait := time.Until(began.Add(at))
	if wait <= 0 {
		return ctx.Err() == nil
	}
	return fault.Pause(ctx, wait)
}
