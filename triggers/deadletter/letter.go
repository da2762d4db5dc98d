// Package deadletter makes the records that triggers put into dead-letter
// topics: what came, as it came, with headers that say why it went no further.
// docs/events.md describes them to readers.
//
// It keeps nothing: a crash does nothing to it.
package deadletter

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/IBM/sarama"
)

const (
	// errorDataBytes bounds the base64 in knativeerrordata, as Knative's
	// dispatcher does.
	errorDataBytes = 1024
	// causeBytes bounds what is told of a cause.
	causeBytes = 1024
)

// Letter is a record that came, and what its dead letter says of it.
type Letter struct {
	Topic   string // where it goes
	Key     []byte // nil: none
	Value   []byte // nil: null
	Headers []*sarama.RecordHeader
	Cause   Cause
	Dest    string // who should have taken it
	Origin  string // topic/partition/offset, or HTTP
}

// Cause says why nobody could take it.
type Cause struct {
	Reason string // undecodable or refused
	Code   string // the HTTP status of the refusal; empty if nobody was asked
	Data   []byte // the answer, or what is wrong
}

// OriginHTTP is the origin of what was in no topic before.
const OriginHTTP = "http"

// String is the cause in words.
func (c Cause) String() string {
	data := c.Data[:min(len(c.Data), causeBytes)]
	words := c.Reason + ":"
	if c.Code != "" {
		words += " " + c.Code
	}
	return strings.ToValidUTF8(strings.TrimSpace(words+" "+string(data)), "\uFFFD")
}

func (c Cause) errorData() []byte {
	data := c.Data[:min(len(c.Data), base64.StdEncoding.DecodedLen(errorDataBytes))]
	return base64.StdEncoding.AppendEncode(nil, data)
}

// Message makes the record, of which keep says how many bytes of the value
// there are to be. The headers of an earlier life as a dead letter are replaced.
func (l *Letter) Message(keep int) *sarama.ProducerMessage {
	m := &sarama.ProducerMessage{Topic: l.Topic}
	for _, h := range l.Headers {
		if !replaced(h.Key) {
			m.Headers = append(m.Headers, *h)
		}
	}
	add := func(key string, value []byte) {
		m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(key), Value: value})
	}
	add("ce_knativeerrordest", []byte(l.Dest))
	add("ce_knativeerrordata", l.Cause.errorData())
	add("millrace-cause", []byte(l.Cause.String()))
	add("millrace-origin", []byte(l.Origin))
	if l.Cause.Code != "" {
		add("ce_knativeerrorcode", []byte(l.Cause.Code))
	}
	if keep < len(l.Value) {
		add("millrace-truncated", fmt.Appendf(nil, "%d of %d bytes", keep, len(l.Value)))
	}
	if l.Key != nil {
		m.Key = sarama.ByteEncoder(l.Key)
	}
	if l.Value != nil {
		m.Value = sarama.ByteEncoder(l.Value[:min(keep, len(l.Value))])
	}
	return m
}

func replaced(key []byte) bool {
	switch strings.ToLower(string(key)) {
	case "ce_knativeerrordest", "ce_knativeerrorcode", "ce_knativeerrordata", "millrace-cause", "millrace-origin":
		return true
	}
	return false
}
