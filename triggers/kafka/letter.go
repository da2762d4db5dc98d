package kafka

import (
	"fmt"
	"strconv"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/triggers/deadletter"
)

// fault says why a record became a dead letter.
type fault struct {
	deadletter.Cause

	keep int // how many bytes of the value the topic takes; 0: all of them
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
	return fault{Cause: deadletter.Cause{Reason: "undecodable", Data: []byte(cause.Error())}}
}

func refusal(o outcome) fault {
	return fault{Cause: deadletter.Cause{Reason: "refused", Code: strconv.Itoa(o.status), Data: o.data}}
}

// message is the raw record with the headers that say why it is here.
func (d *deadLetters) message(r *record) *sarama.ProducerMessage {
	letter := deadletter.Letter{
		Topic: d.t.cfg.deadLetterTopic(r.claim.topic), Key: r.msg.Key, Value: r.msg.Value, Headers: r.msg.Headers,
		Cause: r.fault.Cause, Dest: d.t.cfg.sinkName(), Origin: fmt.Sprintf("%s/%d/%d", r.claim.topic, r.claim.partition, r.offset),
	}
	m := letter.Message(r.kept())
	m.Metadata = r
	return m
}
