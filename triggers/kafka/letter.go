package kafka

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/IBM/sarama"
)

// errorDataBytes bounds the base64 in knativeerrordata, as Knative's dispatcher
// does.
const errorDataBytes = 1024

// fault says why a record became a dead letter.
type fault struct {
	reason string // undecodable or refused
	code   string // the sink's status; empty if it was never asked
	data   []byte // the sink's response, or what is wrong with the record
	keep   int    // how many bytes of the value the topic takes; 0: all of them
}

// shorten halves what is kept of r, which is too large for the topic: it
// may have come compressed, and the original stays where millrace-origin says.
func (r *record) shorten() { r.fault.keep = max(1, r.kept()/2) }

// kept is how many bytes of r's value go to the dead-letter topic.
func (r *record) kept() int {
	if r.fault.keep > 0 {
		return min(r.fault.keep, len(r.msg.Value))
	}
	return len(r.msg.Value)
}

func undecodable(cause error) fault {
	return fault{reason: "undecodable", data: []byte(cause.Error())}
}

func refusal(o outcome) fault {
	return fault{reason: "refused", code: strconv.Itoa(o.status), data: o.data}
}

// cause is the fault in words.
func (f fault) cause() string {
	return strings.ToValidUTF8(strings.TrimSpace(fmt.Sprintf("%s: %s %s", f.reason, f.code, f.data)), "\uFFFD")
}

func (f fault) errorData() []byte {
	data := f.data[:min(len(f.data), base64.StdEncoding.DecodedLen(errorDataBytes))]
	return base64.StdEncoding.AppendEncode(nil, data)
}

// message is the raw record with the headers that say why it is here. Those of
// an earlier life are replaced.
func (d *deadLetters) message(r *record) *sarama.ProducerMessage {
	added := []sarama.RecordHeader{
		{Key: []byte("ce_knativeerrordest"), Value: []byte(d.t.cfg.sinkName())},
		{Key: []byte("ce_knativeerrordata"), Value: r.fault.errorData()},
		{Key: []byte("millrace-cause"), Value: []byte(r.fault.cause())},
		{Key: []byte("millrace-origin"), Value: fmt.Appendf(nil, "%s/%d/%d", r.claim.topic, r.claim.partition, r.offset)},
	}
	if r.fault.code != "" {
		added = append(added, sarama.RecordHeader{Key: []byte("ce_knativeerrorcode"), Value: []byte(r.fault.code)})
	}
	m := &sarama.ProducerMessage{Topic: d.t.cfg.deadLetterTopic(r.claim.topic), Metadata: r}
	for _, h := range r.msg.Headers {
		if !replacedHeader(string(lower(h.Key))) {
			m.Headers = append(m.Headers, *h)
		}
	}
	m.Headers = append(m.Headers, added...)
	if r.msg.Key != nil {
		m.Key = sarama.ByteEncoder(r.msg.Key)
	}
	if value := r.msg.Value; value != nil {
		if kept := r.kept(); kept < len(value) {
			m.Headers = append(m.Headers, sarama.RecordHeader{
				Key: []byte("millrace-truncated"), Value: fmt.Appendf(nil, "%d of %d bytes", kept, len(value)),
			})
			value = value[:kept]
		}
		m.Value = sarama.ByteEncoder(value)
	}
	return m
}

func replacedHeader(key string) bool {
	switch key {
	case "ce_knativeerrordest", "ce_knativeerrorcode", "ce_knativeerrordata", "millrace-cause", "millrace-origin":
		return true
	}
	return false
}
