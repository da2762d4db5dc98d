package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/IBM/sarama"
)

// producer puts records into Kafka, those of many requests at once. It connects
// when it is first needed and anew after every failure.
type producer struct {
	brokers []string
	config  *sarama.Config

	turn   chan struct{}   // held by whoever connects, or looks at client
	client *producerClient // nil: not connected
}

// producerClient is a connection and those who use it.
type producerClient struct {
	sarama.SyncProducer
	users sync.WaitGroup
}

// send returns when Kafka has all records, on all replicas in sync, or when ctx
// ends; done is called when nothing is being sent any more, which may be later.
// On an error any part of them may be there, or still arrive.
func (p *producer) send(ctx context.Context, records []*sarama.ProducerMessage, done func()) error {
	sent := make(chan error, 1)
	go func() {
		err := p.sendAll(ctx, records)
		done()
		sent <- err
	}()
	select {
	case err := <-sent:
		return err
	case <-ctx.Done():
		return fmt.Errorf("putting %d records into Kafka: %w", len(records), ctx.Err())
	}
}

func (p *producer) sendAll(ctx context.Context, records []*sarama.ProducerMessage) error {
	client, err := p.take(ctx)
	if err != nil {
		return fmt.Errorf("connecting to Kafka: %w", err)
	}
	err = client.SendMessages(records)
	client.users.Done()
	if err == nil {
		return nil
	}
	p.retire(client)
	if failed, ok := errors.AsType[sarama.ProducerErrors](err); ok && len(failed) > 0 {
		return fmt.Errorf("Kafka did not take %d of %d records, one of them: %w", len(failed), len(records), worst(failed))
	}
	return err
}

// worst is the error that sending again does not mend, if there is one.
func worst(failed sarama.ProducerErrors) error {
	for _, f := range failed {
		if errors.Is(f.Err, sarama.ErrMessageSizeTooLarge) {
			return f.Err
		}
	}
	return failed[0].Err
}

// take returns a connection to use; users.Done gives it back. While Kafka is
// away one tries to connect, and the others wait for that until their requests
// end.
func (p *producer) take(ctx context.Context) (*producerClient, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if p.client == nil {
		client, err := sarama.NewSyncProducer(p.brokers, p.config)
		if err != nil {
			return nil, err
		}
		p.client = &producerClient{SyncProducer: client}
	}
	p.client.users.Add(1)
	return p.client, nil
}

// retire takes a connection out of use that failed: it would hold records back
// for seconds (sarama's circuit breaker). It is closed when its last user is
// through.
func (p *producer) retire(client *producerClient) {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	if p.client != client {
		return
	}
	p.client = nil
	go func() {
		client.users.Wait()
		_ = client.Close() // nothing is in it any more
	}()
}
