package faults

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/protocol/kafka_sarama/v2"
	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/twmb/franz-go/pkg/kgo"
)

// dispatcher is Knative's in small: it reads a topic as KafkaSource's does, and
// sends on as the Broker on Kafka does too, which shares its data plane. Its rules
// are those of knative-extensions/eventing-kafka-broker, in
// data-plane/dispatcher/src/main/java/dev/knative/eventing/kafka/broker/dispatcher/impl:
//   - http/WebClientCloudEventSender: binary mode, its headers, which answers are
//     sent again and when, the timeout. It heeds no Retry-After.
//   - RecordDispatcherImpl: the dead letter's extensions; that the offset is
//     committed even if the dead letter could not be written either.
//   - consumer/InvalidCloudEventInterceptor: what becomes of other records.
//   - consumer/CloudEventOverridesMutator: what each event is stamped with.
//   - consumer/OrderedConsumerVerticle, UnorderedConsumerVerticle, OffsetManager:
//     one event of a partition at a time, or all that was read; an offset is
//     committed when all before it are done.
type dispatcher struct {
	sink, deadLetterSink string // deadLetterSink empty: none, or deadLetterTopic
	deadLetterTopic      string // of a KafkaSink in binary mode
	ordered              bool
	retries              int
	backoff              time.Duration // times 2^n before the nth retry; the policy exponential

	client *kgo.Client
	before map[int32]chan bool // says that the last record of a partition is done
	tasks  sync.WaitGroup

	mu                       sync.Mutex
	refused, buried, dropped []string // ids: each answer that was no success, and what became of it
}

const sourceTimeout = 10 * time.Second // stock: ten minutes

// startDispatcher has d read the topic of a function, in place of its trigger.
func (w *world) startDispatcher(t *testing.T, name string, d *dispatcher) {
	t.Helper()
	m, topic := w.functions[name], name+"-events"
	m.stopTrigger()
	d.sink, d.before = "http://"+m.door.Address(), map[int32]chan bool{}
	var err error
	if d.client, err = kgo.NewClient(kgo.SeedBrokers(w.deps.Brokers...), kgo.ConsumeTopics(topic),
		kgo.ConsumerGroup(w.deps.ConsumerGroups[topic]), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.AutoCommitMarks(), kgo.AutoCommitInterval(100*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.end)
	ended := make(chan struct{})
	m.stopTrigger = sync.OnceFunc(func() {
		cancel()
		<-ended
	})
	w.running.Go(func() {
		defer close(ended)
		d.run(ctx)
	})
}

func (d *dispatcher) run(ctx context.Context) {
	for ctx.Err() == nil {
		d.client.PollRecords(ctx, 100).EachRecord(func(r *kgo.Record) { d.take(ctx, r) })
	}
	d.tasks.Wait()
	d.client.Close()
}

func (d *dispatcher) take(ctx context.Context, r *kgo.Record) {
	before, done := d.before[r.Partition], make(chan bool, 1)
	d.before[r.Partition] = done
	earlier := func() bool { return before == nil || <-before }
	d.tasks.Go(func() {
		whole := true
		if d.ordered {
			whole = earlier()
		}
		whole = whole && d.dispatch(ctx, r)
		if !d.ordered {
			whole = earlier() && whole
		}
		if whole {
			d.client.MarkCommitRecords(r)
		}
		done <- whole
	})
}

// dispatch returns true when the offset may be committed: whatever became of the
// event, unless the dispatcher was stopped.
func (d *dispatcher) dispatch(ctx context.Context, r *kgo.Record) bool {
	e := read(ctx, r)
	e.SetExtension("knativekafkapartition", strconv.Itoa(int(r.Partition)))
	e.SetExtension("knativekafkaoffset", strconv.FormatInt(r.Offset, 10))
	err := d.deliver(ctx, d.sink, e)
	if err == nil || ctx.Err() != nil {
		return err == nil
	}
	e.SetExtension("knativeerrordest", d.sink)
	if a, ok := errors.AsType[*answer](err); ok {
		e.SetExtension("knativeerrorcode", strconv.Itoa(a.status))
		e.SetExtension("knativeerrordata", base64.StdEncoding.EncodeToString(a.body))
	}
	err = d.bury(ctx, e, r.Key)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.dropped = append(d.dropped, e.ID())
	} else {
		d.buried = append(d.buried, e.ID())
	}
	return ctx.Err() == nil
}

// deliver sends an event until it is taken, cannot be, or the retries end.
func (d *dispatcher) deliver(ctx context.Context, to string, e cloudevents.Event) error {
	for n := 1; ; n++ {
		err := post(ctx, to, e)
		if err == nil {
			return nil
		}
		d.mu.Lock()
		d.refused = append(d.refused, e.ID())
		d.mu.Unlock()
		if a, ok := errors.AsType[*answer](err); ok && !a.again() || n > d.retries {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(d.backoff << n):
		}
	}
}

// answer is one that is no success.
type answer struct {
	status int
	body   []byte // up to 1024 bytes
}

func (a *answer) Error() string { return strconv.Itoa(a.status) }

func (a *answer) again() bool {
	return a.status >= 500 || slices.Contains([]int{404, 408, 409, 429}, a.status)
}

func post(ctx context.Context, to string, e cloudevents.Event) error {
	ctx, cancel := context.WithTimeout(ctx, sourceTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Prefer", "reply")
	req.Header.Set("Kn-Namespace", "millrace")
	if err := cehttp.WriteRequest(binding.WithForceBinary(ctx), binding.ToMessage(&e), req); err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1024)) // as much as there is
	_ = resp.Body.Close()
	if resp.StatusCode >= http.StatusMultipleChoices {
		return &answer{resp.StatusCode, body}
	}
	return nil
}

// bury hands an event to the dead-letter sink.
func (d *dispatcher) bury(ctx context.Context, e cloudevents.Event, key []byte) error {
	switch {
	case d.deadLetterTopic != "":
		return d.client.ProduceSync(ctx, d.letter(e, key)).FirstErr()
	case d.deadLetterSink != "":
		return d.deliver(ctx, d.deadLetterSink, e)
	}
	return errors.New("there is no dead-letter sink")
}

// letter is what a KafkaSink in binary mode makes of an event.
func (d *dispatcher) letter(e cloudevents.Event, key []byte) *kgo.Record {
	r := &kgo.Record{Topic: d.deadLetterTopic, Key: key, Value: e.Data()}
	attributes := e.Extensions()
	maps.Copy(attributes, map[string]any{
		"specversion": e.SpecVersion(), "id": e.ID(), "source": e.Source(), "type": e.Type(), "subject": e.Subject(),
		"time": e.Time().Format(time.RFC3339Nano),
	})
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: "ce_" + name, Value: fmt.Append(nil, attributes[name])})
	}
	r.Headers = append(r.Headers, kgo.RecordHeader{Key: "content-type", Value: []byte(e.DataContentType())})
	return r
}

// read makes the event of a record, if need be one about the record.
func read(ctx context.Context, r *kgo.Record) cloudevents.Event {
	headers, contentType := map[string][]byte{}, ""
	for _, h := range r.Headers {
		if headers[strings.ToLower(h.Key)] = h.Value; strings.EqualFold(h.Key, "content-type") {
			contentType = string(h.Value)
		}
	}
	e, err := binding.ToEvent(ctx, kafka_sarama.NewMessage(r.Value, contentType, headers))
	if err == nil && e.Validate() == nil {
		return *e
	}
	raw, place := cloudevents.NewEvent(), "partition:"+strconv.Itoa(int(r.Partition))
	raw.SetID(place + "/offset:" + strconv.FormatInt(r.Offset, 10))
	raw.SetSubject(place + "#" + strconv.FormatInt(r.Offset, 10))
	raw.SetType("dev.knative.kafka.event")
	raw.SetSource("/apis/v1/namespaces/millrace/kafkasources/trade#" + r.Topic)
	raw.SetTime(r.Timestamp.UTC())
	if len(r.Key) > 0 {
		raw.SetExtension("key", string(r.Key))
		raw.SetExtension("partitionkey", string(r.Key))
	}
	_ = raw.SetData(cmp.Or(contentType, "application/json"), bytes.Clone(r.Value)) // bytes are always taken
	return raw
}
