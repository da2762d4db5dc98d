package kafka

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"mime"
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

	name, tenant, subject []byte // of a structured event, used again
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

// binary converts an event whose attributes are headers and whose data is the
// record's value.
func (c *converter) binary(dst []byte, m *sarama.ConsumerMessage, contentType []byte) ([]byte, entity, error) {
	if len(c.attrs) > maxAttributes {
		return dst, entity{}, fmt.Errorf("more than %d attributes", maxAttributes)
	}
	var e entity
	var seen required
	start := len(dst)
	dst = append(dst, `{"specversion":"1.0"`...)
	for _, a := range c.attrs {
		switch string(a.name) {
		case "specversion":
			seen.specversion = string(a.value) == "1.0"
			continue
		case "datacontenttype": // the content-type header says it, if there is one
			if contentType == nil {
				contentType = a.value
			}
			continue
		case "tenantid":
			e.tenant = a.value
		case "subject":
			e.subject = a.value
		default:
			seen.note(a.name, len(a.value))
		}
		var err error
		if dst, err = c.appendAttribute(dst, a.name, a.value); err != nil {
			return dst[:start], entity{}, err
		}
	}
	if err := seen.missing(); err != nil {
		return dst[:start], entity{}, err
	}
	dst, err := c.appendEnd(dst, m, contentType)
	if err != nil {
		return dst[:start], entity{}, err
	}
	return dst, e, nil
}

func (c *converter) appendEnd(dst []byte, m *sarama.ConsumerMessage, contentType []byte) ([]byte, error) {
	var err error
	if len(contentType) > 0 {
		if dst, err = c.appendAttribute(dst, []byte("datacontenttype"), contentType); err != nil {
			return dst, err
		}
	}
	return append(appendData(c.appendStamps(dst, m), m.Value, contentType), '}'), nil
}

func (c *converter) appendAttribute(dst, name, value []byte) ([]byte, error) {
	if !validName(name) || string(name) == "data" {
		return dst, fmt.Errorf("%q is no name of an attribute", name)
	}
	if c.replaces(name) {
		return dst, nil
	}
	dst = append(append(append(dst, `,"`...), name...), `":`...)
	dst, err := jsontext.AppendQuote(dst, value)
	if err != nil {
		return dst, fmt.Errorf("attribute %s: %w", name, err)
	}
	return dst, nil
}

// appendData writes JSON as it is, once it is known to be nothing but JSON;
// all else, and what only claims to be JSON, as base64.
func appendData(dst, data, contentType []byte) []byte {
	if len(data) == 0 {
		return dst
	}
	if isJSON(contentType) && jsontext.Value(data).IsValid() {
		return append(append(dst, `,"data":`...), data...)
	}
	dst = append(dst, `,"data_base64":"`...)
	return append(base64.StdEncoding.AppendEncode(dst, data), '"')
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

func (c *converter) appendStamps(dst []byte, m *sarama.ConsumerMessage) []byte {
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

// required notes which of the attributes that no event can lack were there.
type required struct{ specversion, id, source, typ bool }

func (r *required) note(name []byte, length int) {
	switch string(name) {
	case "id":
		r.id = length > 0
	case "source":
		r.source = length > 0
	case "type":
		r.typ = length > 0
	}
}

func (r required) missing() error {
	if r.specversion && r.id && r.source && r.typ {
		return nil
	}
	var names []string
	for _, attribute := range []struct {
		name  string
		there bool
	}{{"specversion 1.0", r.specversion}, {"id", r.id}, {"source", r.source}, {"type", r.typ}} {
		if !attribute.there {
			names = append(names, attribute.name)
		}
	}
	return fmt.Errorf("no CloudEvent: without %s", strings.Join(names, ", "))
}

// reserved tells that the name belongs to CloudEvents itself.
func reserved(name string) bool {
	switch name {
	case "specversion", "id", "source", "type", "subject", "time", "dataschema", "datacontenttype", "data":
		return true
	}
	return false
}

func validName(name []byte) bool {
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return len(name) > 0
}

func lower(key []byte) []byte {
	for _, c := range key {
		if c >= 'A' && c <= 'Z' {
			return bytes.ToLower(key)
		}
	}
	return key
}

// isFormat tells that the content type is that of an event format: the record's
// value is the whole event.
func isFormat(contentType []byte) bool {
	const prefix = "application/cloudevents"
	contentType = bytes.TrimSpace(contentType)
	return len(contentType) >= len(prefix) && bytes.EqualFold(contentType[:len(prefix)], []byte(prefix))
}

func mediaType(contentType []byte) string {
	before, _, _ := bytes.Cut(contentType, []byte(";"))
	return string(bytes.ToLower(bytes.TrimSpace(before)))
}

// isJSON tells that a content type announces JSON, as the specification's JSON
// format has it: application/json, text/json, anything +json, and none at all.
func isJSON(contentType []byte) bool {
	switch string(contentType) { // as nearly all write it
	case "", "application/json", "application/json; charset=utf-8":
		return true
	}
	mediaType, _, err := mime.ParseMediaType(string(contentType))
	return err == nil && (mediaType == "application/json" || mediaType == "text/json" || strings.HasSuffix(mediaType, "+json"))
}
