package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/IBM/sarama"
	"github.com/go-json-experiment/json/jsontext"
)

// maxAttributes bounds the attributes of one event in binary mode; a record
// with more is no event.
const maxAttributes = 64

// The extensions that Knative's own KafkaSource stamps on its events.
const (
	offsetExtension    = "knativekafkaoffset"
	partitionExtension = "knativekafkapartition"
)

var errNullValue = errors.New("the record's value is null")

// converter turns Kafka records into CloudEvents in the JSON format. It judges
// only what a batch and its order need: specversion 1.0; id, source and type
// there; valid UTF-8; and names and data that can't break out of the batch. The
// function judges the rest. A converter is for one goroutine.
type converter struct {
	set     []override
	attrs   []attribute
	decoder *jsontext.Decoder
	input   bytes.Buffer

	name, value, tenant, subject []byte // of a structured event, used again

	traces
}

type attribute struct {
	name  []byte
	value []byte
}

// override is an extension that replaces what an event brought: its name, and
// `,"name":"value"` ready to append.
type override struct {
	name   string
	member []byte
}

// entity names what must be kept in order within a partition; both parts empty
// if the event names none. It is good until the next conversion.
type entity struct{ tenant, subject []byte }

func newConverter(extensions map[string]string) *converter {
	c := &converter{decoder: jsontext.NewDecoder(&bytes.Buffer{})}
	for _, name := range slices.Sorted(maps.Keys(extensions)) {
		quoted, _ := jsontext.AppendQuote(nil, strings.ToValidUTF8(extensions[name], "\uFFFD"))
		c.set = append(c.set, override{name, append([]byte(`,"`+name+`":`), quoted...)})
	}
	return c
}

// convert appends the record's event to dst. An error says why the record is
// no event; dst then comes back as it was.
func (c *converter) convert(dst []byte, m *sarama.ConsumerMessage) ([]byte, entity, error) {
	c.reset()
	if m.Value == nil {
		return dst, entity{}, errNullValue
	}
	contentType := c.readHeaders(m.Headers)
	if !isFormat(contentType) {
		return c.binary(dst, m, contentType)
	}
	if mediaType(contentType) == "application/cloudevents+json" {
		return c.structured(dst, m)
	}
	return dst, entity{}, fmt.Errorf("content type %q is not supported", contentType)
}

// readHeaders keeps the attributes in c.attrs and returns the content type.
// The last of several headers with one name counts, as in the SDK.
func (c *converter) readHeaders(headers []*sarama.RecordHeader) (contentType []byte) {
	c.attrs = c.attrs[:0]
	for _, h := range headers {
		key := lower(h.Key)
		if string(key) == "content-type" {
			contentType = h.Value
			continue
		}
		if len(c.traceparent) == 0 && string(key) == traceExtension { // of who produced the record
			c.hold(key, h.Value)
		}
		if name, ok := bytes.CutPrefix(key, []byte("ce_")); ok && len(c.attrs) <= maxAttributes {
			c.setAttribute(name, h.Value)
		}
	}
	return contentType
}

func (c *converter) setAttribute(name, value []byte) {
	for i := range c.attrs {
		if bytes.Equal(c.attrs[i].name, name) {
			c.attrs[i].value = value
			return
		}
	}
	c.attrs = append(c.attrs, attribute{name, value})
}

// replaces tells that a stamp or an override takes this name.
func (c *converter) replaces(name []byte) bool {
	if string(name) == offsetExtension || string(name) == partitionExtension {
		return true
	}
	for i := range c.set {
		if c.set[i].name == string(name) {
			return true
		}
	}
	return false
}

func (c *converter) appendStamps(dst []byte, m *sarama.ConsumerMessage, tenant []byte) []byte {
	dst = c.appendTrace(dst, tenant)
	offset, partition := true, true
	for i := range c.set {
		offset = offset && c.set[i].name != offsetExtension
		partition = partition && c.set[i].name != partitionExtension
		dst = append(dst, c.set[i].member...)
	}
	if offset {
		dst = append(dst, `,"`+offsetExtension+`":"`...)
		dst = append(strconv.AppendInt(dst, m.Offset, 10), '"')
	}
	if partition {
		dst = append(dst, `,"`+partitionExtension+`":`...)
		dst = strconv.AppendInt(dst, int64(m.Partition), 10)
	}
	return dst
}
