package status

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/millrace/millrace/infra/platform"
	"github.com/millrace/millrace/infra/topics"
	sharedkafka "github.com/millrace/millrace/shared/kafka"
)

// Snapshot is how a platform does at one moment.
type Snapshot struct {
	At        time.Time
	Functions []Function
	Processes []Process
	Outbox    Outbox
	// OfNoFunction is how many dead letters are in the topic for what names none,
	// and unknown to the database.
	OfNoFunction int64
	// Unread tells that the dead-letter topics have more than was read so far.
	Unread bool
	// Troubles are parts that did not answer.
	Troubles []error
	// NoKafka and NoDatabase tell which of them did not; what they would have told
	// is zero, and not known.
	NoKafka, NoDatabase bool
}

// Function is one event family.
type Function struct {
	Name string
	// Lag is how many records its consumer group has not done, over all partitions.
	Lag int64
	// Done is how many it has; the difference of two snapshots is throughput.
	Done int64
	// Parked and DeadLetters are how many events wait and how many open dead
	// letters there are.
	Parked, DeadLetters int64
	// TopicOnly is how many dead letters are in the topic, and unknown to the
	// database.
	TopicOnly int64
}

// Process is one process of a local platform.
type Process struct {
	platform.ProcessAddress
	// Err is nil if it is ready.
	Err error
}

// Outbox is what is committed and not yet told to Redis and Kafka.
type Outbox struct {
	Rows int64
	// Oldest is the age of the oldest row.
	Oldest time.Duration
}

// Source takes snapshots.
type Source struct {
	at       platform.Addresses
	kafka    *kafka
	database *database
}

// NewSource connects to a platform when it is first asked; one that cannot be
// reached is a trouble of a snapshot, not the end of it.
func NewSource(at platform.Addresses) *Source {
	return &Source{at: at, kafka: &kafka{brokers: at.KafkaBrokers, security: at.Kafka}, database: &database{url: at.DatabaseURL}}
}

// Close ends the connections.
func (s *Source) Close() error { return errors.Join(s.kafka.close(), s.database.close()) }

// Take asks everything at the same time.
func (s *Source) Take(ctx context.Context) Snapshot {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var (
		offsets     map[string]progress
		counts      counts
		kafkaErr    error
		databaseErr error
		processes   = make([]Process, len(s.at.Processes))
		wg          sync.WaitGroup
	)
	wg.Go(func() { offsets, kafkaErr = s.kafka.progress(ctx) })
	wg.Go(func() { counts, databaseErr = s.database.counts(ctx) })
	for i, p := range s.at.Processes {
		wg.Go(func() { processes[i] = Process{ProcessAddress: p, Err: platform.Ready(ctx, p.URL)} })
	}
	wg.Wait()
	if kafkaErr == nil && databaseErr == nil {
		counts.topicOnly, databaseErr = s.database.unknown(ctx, s.kafka.letters.found)
	}
	snapshot := Snapshot{At: time.Now(), Processes: processes, Outbox: counts.outbox, Unread: s.kafka.unread, NoKafka: kafkaErr != nil, NoDatabase: databaseErr != nil}
	for _, err := range []error{kafkaErr, databaseErr} {
		if err != nil {
			snapshot.Troubles = append(snapshot.Troubles, err)
		}
	}
	snapshot.Functions = s.functions(offsets, counts)
	snapshot.OfNoFunction = counts.topicOnly[sharedkafka.OtherDeadLetters]
	return snapshot
}

// functions joins what Kafka and PostgreSQL say of each function: of those of
// the local platform, and of others that have something to show.
func (s *Source) functions(offsets map[string]progress, c counts) []Function {
	var all []Function
	for _, name := range names() {
		p := offsets[name]
		f := Function{Name: name, Lag: p.lag, Done: p.done, Parked: c.parked[name], DeadLetters: c.deadLetters[name], TopicOnly: c.topicOnly[topics.DeadLetters(name)]}
		_, local := s.at.Groups[name]
		if local || f != (Function{Name: name}) {
			all = append(all, f)
		}
	}
	return all
}

// Well tells whether everything answered and is ready.
func (s Snapshot) Well() bool {
	for _, p := range s.Processes {
		if p.Err != nil {
			return false
		}
	}
	return len(s.Troubles) == 0
}
