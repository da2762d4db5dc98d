package status

import (
	"context"
	"errors"
	"fmt"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/infra/platform"
	"github.com/millrace/millrace/infra/topics"
	sharedkafka "github.com/millrace/millrace/shared/kafka"
)

func names() []string { return topics.Functions() }

// progress is how far a consumer group is in its topic.
type progress struct{ lag, done int64 }

// kafka asks how far consumer groups are.
type kafka struct {
	brokers  []string
	security sharedkafka.Security
	admin    sarama.ClusterAdmin
	letters  letters
	// unread tells that there are more dead letters than were read.
	unread bool
}

func (k *kafka) connect() error {
	if k.admin != nil {
		return nil
	}
	if len(k.brokers) == 0 {
		return errors.New("Kafka is not known: set KAFKA_BROKERS")
	}
	var err error
	k.admin, err = topics.Admin(context.Background(), "millrace-status", k.brokers, k.security)
	return err
}

func (k *kafka) close() error {
	err := k.letters.close()
	if k.admin != nil {
		err = errors.Join(err, k.admin.Close())
		k.admin = nil
	}
	return err
}

// progress asks for every function's topic that exists, and reads on in those of
// dead letters. After an error the
// connection is made anew the next time.
func (k *kafka) progress(ctx context.Context) (map[string]progress, error) {
	if err := k.connect(); err != nil {
		return nil, err
	}
	all, err := k.ask(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("asking Kafka for offsets: %w", err), k.close())
	}
	return all, nil
}

func (k *kafka) ask(ctx context.Context) (map[string]progress, error) {
	existing, err := k.admin.ListTopics()
	if err != nil {
		return nil, err
	}
	all := map[string]progress{}
	for _, function := range names() {
		topic := topics.Events(function)
		detail, ok := existing[topic]
		if !ok {
			continue
		}
		if all[function], err = k.topic(function, topic, detail.NumPartitions); err != nil {
			return nil, err
		}
	}
	k.unread, err = k.letters.read(ctx, k, existing)
	return all, err
}

func (k *kafka) topic(function, topic string, partitions int32) (progress, error) {
	oldest, err := k.offsets(topic, partitions, sarama.OffsetOldest)
	if err != nil {
		return progress{}, err
	}
	newest, err := k.offsets(topic, partitions, sarama.OffsetNewest)
	if err != nil {
		return progress{}, err
	}
	list := make([]int32, partitions)
	for i := range list {
		list[i] = int32(i)
	}
	committed, err := k.admin.ListConsumerGroupOffsets(platform.ConsumerGroup(function), map[string][]int32{topic: list})
	if errors.Is(err, sarama.ErrGroupIDNotFound) {
		// Its trigger never ran: nothing is done.
		committed, err = &sarama.OffsetFetchResponse{}, nil
	}
	if err != nil {
		return progress{}, err
	}
	var p progress
	for _, partition := range list {
		// Where nothing was done yet the trigger begins at the oldest record.
		done := oldest[partition].Offset
		if block := committed.GetBlock(topic, partition); block != nil {
			done = max(done, block.Offset)
		}
		p.done += done
		p.lag += max(0, newest[partition].Offset-done)
	}
	return p, nil
}

func (k *kafka) offsets(topic string, partitions int32, at int64) (map[int32]*sarama.OffsetResult, error) {
	wanted := map[int32]int64{}
	for i := range partitions {
		wanted[i] = at
	}
	got, err := k.admin.ListOffsets(map[string]map[int32]int64{topic: wanted}, nil)
	if err != nil {
		return nil, err
	}
	for i := range partitions {
		result := got[topic][i]
		if result == nil {
			return nil, fmt.Errorf("no offset of %s, partition %d", topic, i)
		}
		if result.Err != nil && !errors.Is(result.Err, sarama.ErrNoError) {
			return nil, fmt.Errorf("offset of %s, partition %d: %w", topic, i, result.Err)
		}
	}
	return got[topic], nil
}
