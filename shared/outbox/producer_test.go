package outbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/infra/stack"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/kafka"
)

const testTopic = "trade-events"

func newTestProducer(t *testing.T, brokers []string) *Producer {
	t.Helper()
	config := kafka.ProducerConfig("test", kafka.Security{})
	config.Producer.Retry.BackoffFunc = sarama.NewExponentialBackoff(5*time.Millisecond, 5*time.Millisecond)
	config.Metadata.Retry.Backoff = 5 * time.Millisecond
	p, err := NewProducer(brokers, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// numbered makes messages that say which one they are of their key.
func numbered(from, to, keys int) (all []Message) {
	for n := from; n < to; n++ {
		all = append(all, Message{Topic: testTopic, Key: fmt.Sprint("key-", n%keys), Value: []byte(strconv.Itoa(n)), Headers: []Header{{"content-type", structuredMedia}}})
	}
	return all
}

// consume returns the values of the topic by key, in order, once there are n.
func consume(t *testing.T, brokers []string, n int) map[string][]int {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(testTopic))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got := map[string][]int{}
	for total := 0; total < n; {
		fetches := client.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			t.Fatalf("%d of %d records came: %v", total, n, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			value, err := strconv.Atoi(string(r.Value))
			if err != nil || len(r.Headers) != 1 || r.Headers[0].Key != "content-type" {
				t.Errorf("record %q with headers %v: %v", r.Value, r.Headers, err)
			}
			got[string(r.Key)] = append(got[string(r.Key)], value)
			total++
		})
	}
	return got
}

func inOrder(t *testing.T, got map[string][]int) {
	t.Helper()
	for key, values := range got {
		if !slices.IsSorted(values) || len(slices.Compact(slices.Clone(values))) != len(values) {
			t.Errorf("%s: %v", key, values)
		}
	}
}

// Leader changes, and replies that get lost after the records were written,
// neither lose, nor repeat, nor reorder what is sent.
func TestProducerKeepsOrder(t *testing.T) {
	t.Parallel()
	kafka := stacktest.KafkaCluster(t)
	faults := kafka.Cluster().Fault(
		kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Partitions: []int32{0, 3, 7}, Err: kerr.NotLeaderForPartition, Count: 2},
		kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Partitions: []int32{1, 5}, Err: kerr.RequestTimedOut, Count: 2},
	)
	p := newTestProducer(t, kafka.Brokers)
	for n := 0; n < 2000; n += 500 {
		if err := p.Publish(t.Context(), numbered(n, n+500, 40)); err != nil {
			t.Fatal(err)
		}
		kafka.Cluster().ShufflePartitionLeaders()
	}
	if faults.Hits() == 0 {
		t.Fatal("no fault happened")
	}
	inOrder(t, consume(t, kafka.Brokers, 2000))
}

// What a partition refuses for good is told exactly; the rest arrives, and a
// repeat of what was refused too.
func TestProducerSaysWhatIsUnsent(t *testing.T) {
	t.Parallel()
	kafka := stacktest.KafkaCluster(t)
	fault := kafka.Cluster().Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Produce}, Partitions: []int32{0, 1, 2}, Err: kerr.PolicyViolation, Count: -1,
	})
	p := newTestProducer(t, kafka.Brokers)
	all := numbered(0, 300, 30)
	err := p.Publish(t.Context(), all)
	var partly *UnsentError
	if !errors.As(err, &partly) || len(partly.Unsent) == 0 || !slices.IsSorted(partly.Unsent) {
		t.Fatal(err)
	}
	fault.Remove()
	var again []Message
	for _, n := range partly.Unsent {
		again = append(again, all[n])
	}
	if err := p.Publish(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	var values []int
	for _, of := range consume(t, kafka.Brokers, 300) {
		values = append(values, of...)
	}
	slices.Sort(values)
	if n := len(slices.Compact(values)); n != 300 {
		t.Errorf("%d of 300 messages are there", n)
	}
}

// A message that no topic takes does not keep back its neighbours.
func TestProducerTooLarge(t *testing.T) {
	t.Parallel()
	all := numbered(0, 3, 3)
	all[1].Value = make([]byte, kafka.MaxMessageBytes)
	kafka := stacktest.KafkaCluster(t)
	p := newTestProducer(t, kafka.Brokers)
	var partly *UnsentError
	if err := p.Publish(t.Context(), all); !errors.As(err, &partly) || !slices.Equal(partly.Unsent, []int{1}) {
		t.Fatal(err)
	}
	inOrder(t, consume(t, kafka.Brokers, 2))
}

// A topic that is missing is not made, and holds up no other.
func TestProducerMissingTopic(t *testing.T) {
	t.Parallel()
	kafka := stacktest.KafkaCluster(t)
	p := newTestProducer(t, kafka.Brokers)
	all := append(numbered(0, 5, 2), Message{Topic: "nobody-made-it", Value: []byte("0")})
	var partly *UnsentError
	if err := p.Publish(t.Context(), all); !errors.As(err, &partly) || !slices.Equal(partly.Unsent, []int{5}) {
		t.Fatal(err)
	}
	if kafka.Cluster().TopicInfo("nobody-made-it") != nil {
		t.Error("the topic was made")
	}
}

// A process starts before its Kafka, and survives that it goes away.
func TestProducerStartsWithoutKafka(t *testing.T) {
	t.Parallel()
	port, err := stack.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	brokers := []string{net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	p := newTestProducer(t, brokers)
	down := func() {
		t.Helper()
		var all *UnsentError
		if err := p.Publish(t.Context(), numbered(0, 10, 3)); !errors.As(err, &all) || len(all.Unsent) != 10 {
			t.Fatal(err)
		}
	}
	up := func(from int) *stack.Kafka {
		t.Helper()
		kafka, err := stack.StartKafka(stack.KafkaConfig{Ports: []int{port}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(kafka.Stop)
		if err := kafka.Cluster().CreateTopic(testTopic, 3, nil); err != nil {
			t.Fatal(err)
		}
		if err := p.Publish(t.Context(), numbered(from, from+10, 3)); err != nil {
			t.Fatal(err)
		}
		return kafka
	}
	down()
	kafka := up(0)
	kafka.Stop()
	down()
	up(10)
	inOrder(t, consume(t, brokers, 10))
}

// A call that is given up may still arrive; the next one waits for it.
func TestProducerGivesUpInOrder(t *testing.T) {
	t.Parallel()
	kafka := stacktest.KafkaCluster(t)
	cluster := kafka.Cluster()
	entered, goOn, once := make(chan struct{}), make(chan struct{}), sync.Once{}
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		once.Do(func() {
			close(entered)
			cluster.SleepControl(func() { <-goOn })
		})
		return nil, nil, false //nolint:nilnil // it is not answered here
	})
	p := newTestProducer(t, kafka.Brokers)
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { first <- p.Publish(ctx, numbered(0, 20, 1)) }()
	<-entered
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := p.Publish(ctx, numbered(20, 21, 1)); !errors.Is(err, context.Canceled) { // it does not get its turn
		t.Fatal(err)
	}
	second := make(chan error, 1)
	go func() { second <- p.Publish(t.Context(), numbered(20, 40, 1)) }()
	close(goOn)
	if err := <-second; err != nil {
		t.Fatal(err)
	}
	inOrder(t, consume(t, kafka.Brokers, 40))
}

func TestProducerConfiguration(t *testing.T) {
	t.Parallel()
	if _, err := NewProducer(nil, kafka.ProducerConfig("test", kafka.Security{})); err == nil {
		t.Error("no brokers")
	}
	config := kafka.ProducerConfig("test", kafka.Security{})
	config.Net.MaxOpenRequests = 5
	if _, err := NewProducer([]string{"localhost:1"}, config); err == nil {
		t.Error("an idempotent producer with several requests in flight")
	}
}
