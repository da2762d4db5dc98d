package proxy

import (
	"bufio"
	"encoding/binary"
	"io"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Kafka reads Kafka's protocol, without TLS: a request has its name as text, as in
// "Produce request". A broker answers a connection's requests in their order, all
// but those to produce with acks=0. It tells clients where the brokers are, so each
// has to name its proxy there. https://kafka.apache.org/protocol
var Kafka Protocol = func() messages { return kafka{} }

type kafka struct{}

func (kafka) request(r *bufio.Reader) (raw []byte, asks string, answered bool, err error) {
	if raw, err = sized(r); err != nil {
		return nil, "", false, err
	}
	return raw, kmsg.NameForKey(int16(binary.BigEndian.Uint16(raw[4:]))) + " request", true, nil
}

func (kafka) reply(r *bufio.Reader) (raw []byte, says string, ends extent, err error) {
	raw, err = sized(r)
	return raw, "", one, err
}

// sized reads a message: its length, which does not count itself, and that many
// bytes; the first four of them say what it is or answers.
func sized(r *bufio.Reader) ([]byte, error) {
	head, err := r.Peek(8)
	if err != nil {
		return nil, err
	}
	raw := make([]byte, 4+max(4, int(binary.BigEndian.Uint32(head))))
	_, err = io.ReadFull(r, raw)
	return raw, err
}
