package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/IBM/sarama"

	sharedfault "github.com/millrace/millrace/shared/fault"
	"github.com/millrace/millrace/shared/trace"
)

// Trigger reads topics as a member of a consumer group and posts what it reads
// to the sink.
type Trigger struct {
	cfg         Config
	log         *slog.Logger
	extensions  map[string]string
	window      *window
	tracer      *trace.Tracer
	sink        *sink
	deadLetters *deadLetters
	metrics     *metrics
	group       sarama.ConsumerGroup
	joined      atomic.Bool
	workers     sync.WaitGroup
	cells       chan struct{}
	alone       sync.Mutex // held by the cell whose request is under way
}

// New makes a trigger of a valid configuration; it connects to nothing yet.
func New(cfg Config, log *slog.Logger) (*Trigger, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	t := &Trigger{cfg: cfg, log: log, cells: make(chan struct{}, cells)}
	var err error
	if t.extensions, err = cfg.overrides(); err != nil {
		return nil, err
	}
	if t.sink, err = newSink(cfg); err != nil {
		return nil, err
	}
	if cfg.Security.InTheClear() {
		log.Warn("the password for kafka goes over the network in the clear: KAFKA_NET_TLS_ENABLE is off")
	}
	t.window = newWindow(limits{cfg.BatchEvents, cfg.BatchBytes, cfg.WindowEvents, cfg.WindowBytes})
	if t.tracer, err = trace.Open(cfg.Trace, cfg.Name, log); err != nil {
		return nil, err
	}
	t.window.tracer = t.tracer
	t.metrics = newMetrics(t.window, &t.joined)
	t.deadLetters = newDeadLetters(t, func() (sarama.SyncProducer, error) {
		return sarama.NewSyncProducer(cfg.Brokers, producerConfig(cfg))
	})
	return t, nil
}

// Run reads and posts until ctx ends, then drains: requests under way may
// finish within DrainTimeout, what they got done is marked and committed, and
// the group is left. What was only queued was never marked and comes again,
// elsewhere.
func (t *Trigger) Run(ctx context.Context) error {
	if err := t.connect(ctx); err != nil {
		return err
	}
	// Workers outlive ctx: a revocation ends their attempts, not the signal.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	for range t.cfg.InFlight {
		t.workers.Go(func() { t.deliver(work) })
	}
	t.workers.Go(func() { t.deadLetters.run(work) })

	t.consume(ctx)
	if err := t.group.Close(); err != nil { // the group will find out by itself
		t.log.Warn("leaving the group failed", "error", err)
	}
	t.window.close()
	stop()
	t.workers.Wait()
	t.tracer.Close()
	return nil
}

// connect waits for Kafka: a platform starts in any order.
func (t *Trigger) connect(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		group, err := sarama.NewConsumerGroup(t.cfg.Brokers, t.cfg.Group, consumerConfig(t.cfg))
		if err == nil {
			t.group = group
			go func() {
				for err := range group.Errors() {
					t.log.Warn("consumer group error", "error", err)
				}
			}()
			return nil
		}
		t.log.Warn("kafka is not reachable, tried again", "brokers", t.cfg.Brokers, "attempt", attempt, "error", err)
		if !t.pause(ctx, attempt) {
			return fmt.Errorf("connecting to kafka: %w", err)
		}
	}
}

// consume is a member of the group until ctx ends.
func (t *Trigger) consume(ctx context.Context) {
	for attempt := 1; ctx.Err() == nil; attempt++ {
		err := t.group.Consume(ctx, t.cfg.Topics, t)
		if t.joined.Swap(false) {
			attempt = 1
		}
		if ctx.Err() != nil || errors.Is(err, sarama.ErrClosedConsumerGroup) {
			return
		}
		t.log.Warn("consumer group session ended, joining again", "attempt", attempt, "error", err)
		t.pause(ctx, attempt)
	}
}

func (t *Trigger) pause(ctx context.Context, attempt int) bool {
	return sharedfault.Pause(ctx, t.backoff(attempt))
}

// Setup tells that the group has been joined.
func (t *Trigger) Setup(session sarama.ConsumerGroupSession) error {
	t.joined.Store(true)
	t.log.Info("joined the group", "group", t.cfg.Group, "member", session.MemberID(), "generation", session.GenerationID())
	return nil
}

// Cleanup has nothing to do: each claim was given up by its own ConsumeClaim.
func (t *Trigger) Cleanup(sarama.ConsumerGroupSession) error { return nil }
