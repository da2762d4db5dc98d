package status

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/shared/event"
	sharedkafka "github.com/millrace/millrace/shared/kafka"
)

// letter is a record that a trigger put into a dead-letter topic: no function
// could decide or keep it. (The relay's records there are rows of the database.)
type letter struct {
	topic              string
	partition          int32
	offset             int64
	tenant, source, id string // empty if the event could not be read
}

// What one snapshot reads of the dead-letter topics. The next one goes on.
const (
	maxLetters   = 10_000
	lettersLimit = 3 * time.Second
)

// letters reads the dead-letter topics, each record once.
type letters struct {
	consumer sarama.Consumer
	next     map[string]map[int32]int64 // by topic and partition
	found    []letter
}

// span is what is still to be read of a partition.
type span struct {
	topic     string
	partition int32
	from, end int64
	records   sarama.PartitionConsumer
}

// read reads on. more tells that there was more than one snapshot reads.
func (l *letters) read(ctx context.Context, k *kafka, existing map[string]sarama.TopicDetail) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, lettersLimit)
	defer cancel()
	spans, err := l.spans(k, existing)
	if err != nil || len(spans) == 0 {
		return false, err
	}
	// All are opened at once, as Kafka lets each first fetch wait.
	defer closeAll(spans)
	if err := l.open(k, spans); err != nil {
		return false, err
	}
	for _, s := range spans {
		more = l.readSpan(ctx, s) || more
	}
	return more, nil
}

// deadLetterTopics are those of the functions, and that of what names none.
func deadLetterTopics() (all []string) {
	for _, function := range names() {
		all = append(all, topics.DeadLetters(function))
	}
	return append(all, sharedkafka.OtherDeadLetters)
}

func (l *letters) spans(k *kafka, existing map[string]sarama.TopicDetail) (all []*span, err error) {
	for _, topic := range deadLetterTopics() {
		partitions := existing[topic].NumPartitions
		if partitions == 0 {
			continue
		}
		oldest, err := k.offsets(topic, partitions, sarama.OffsetOldest)
		if err != nil {
			return nil, err
		}
		newest, err := k.offsets(topic, partitions, sarama.OffsetNewest)
		if err != nil {
			return nil, err
		}
		l.forget(topic, oldest)
		for p := range partitions {
			if from := max(l.next[topic][p], oldest[p].Offset); from < newest[p].Offset {
				all = append(all, &span{topic: topic, partition: p, from: from, end: newest[p].Offset})
			}
		}
	}
	return all, nil
}

// forget drops what Kafka no longer has.
func (l *letters) forget(topic string, oldest map[int32]*sarama.OffsetResult) {
	l.found = slices.DeleteFunc(l.found, func(one letter) bool {
		return one.topic == topic && one.offset < oldest[one.partition].Offset
	})
}

func (l *letters) open(k *kafka, spans []*span) (err error) {
	if l.consumer == nil {
		config := sharedkafka.CommandConfig("millrace-status", k.security)
		config.Consumer.MaxWaitTime = 100 * time.Millisecond
		if l.consumer, err = sarama.NewConsumer(k.brokers, config); err != nil {
			return err
		}
	}
	for _, s := range spans {
		if s.records, err = l.consumer.ConsumePartition(s.topic, s.partition, s.from); err != nil {
			return err
		}
	}
	return nil
}

func closeAll(spans []*span) {
	var wg sync.WaitGroup
	for _, s := range spans {
		if s.records != nil {
			wg.Go(func() { _ = s.records.Close() }) // what it still had is read the next time
		}
	}
	wg.Wait()
}

func (l *letters) readSpan(ctx context.Context, s *span) (more bool) {
	for s.from < s.end && len(l.found) < maxLetters {
		select {
		case <-ctx.Done():
			return true
		case record := <-s.records.Messages():
			if one, ok := letterOf(record); ok {
				l.found = append(l.found, one)
			}
			s.from = record.Offset + 1
			l.readUpTo(s)
		}
	}
	return s.from < s.end
}

func (l *letters) readUpTo(s *span) {
	if l.next == nil {
		l.next = map[string]map[int32]int64{}
	}
	if l.next[s.topic] == nil {
		l.next[s.topic] = map[int32]int64{}
	}
	l.next[s.topic][s.partition] = s.from
}

// letterOf reads what the event of a trigger's record is called.
func letterOf(record *sarama.ConsumerMessage) (letter, bool) {
	attributes := map[string]string{}
	media, byTrigger := "", false
	for _, h := range record.Headers {
		name, value := strings.ToLower(string(h.Key)), string(h.Value)
		switch attribute, ok := strings.CutPrefix(name, "ce_"); {
		case ok:
			attributes[attribute] = value
		case name == "content-type":
			media = value
		case name == "millrace-origin":
			byTrigger = true
		}
	}
	one := letter{topic: record.Topic, partition: record.Partition, offset: record.Offset}
	received := event.ParseBinary(attributes, media, record.Value)
	if strings.HasPrefix(media, "application/cloudevents") {
		received = event.ParseStructured(record.Value)
	}
	if e := received.Event; e != nil {
		one.tenant, one.source, one.id = e.TenantID, e.Source, e.ID
	}
	return one, byTrigger
}

func (l *letters) close() error {
	if l.consumer == nil {
		return nil
	}
	consumer := l.consumer
	l.consumer = nil
	return consumer.Close()
}
