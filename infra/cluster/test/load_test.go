package test_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/infra/traffic"
	"github.com/millrace/millrace/infra/traffic/produce"
)

// load is traffic on its way into Kafka, at its pace.
type load struct {
	handed atomic.Int64 // to the producer, so far
	end    chan struct{}
	ended  chan struct{}
	sent   []traffic.Record // all of it, once it has ended
	err    error
}

// begin sends traffic until its settings end it, or it is told to stop.
func (w *world) begin(t *testing.T, s traffic.Settings) *load {
	t.Helper()
	g, err := traffic.New(s)
	if err != nil {
		t.Fatal(err)
	}
	producer := w.producer(t)
	l := &load{end: make(chan struct{}), ended: make(chan struct{})}
	t.Cleanup(func() { <-l.ended }) // a test that fails ends its context before
	go func() {
		defer close(l.ended)
		l.err = l.run(t.Context(), g, producer)
		if err := producer.Close(); l.err == nil {
			l.err = err
		}
	}()
	return l
}

func (l *load) run(ctx context.Context, g *traffic.Generator, p *produce.Producer) error {
	began := time.Now()
	for {
		r, more := g.Next()
		if !more {
			return nil
		}
		select {
		case <-l.end:
			g.End()
		default:
			if !produce.Await(ctx, began, r.At) {
				return ctx.Err()
			}
		}
		if err := p.Send(ctx, r); err != nil {
			return err
		}
		l.sent = append(l.sent, r)
		l.handed.Add(1)
	}
}

// stop ends it; all that was sent is in Kafka then.
func (l *load) stop(t *testing.T) []traffic.Record {
	t.Helper()
	close(l.end)
	return l.wait(t)
}

// wait returns what was sent, when its settings have ended it.
func (l *load) wait(t *testing.T) []traffic.Record {
	t.Helper()
	<-l.ended
	if l.err != nil {
		t.Fatal(l.err)
	}
	return l.sent
}
