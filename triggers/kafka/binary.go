package kafka

import (
	"encoding/base64"
	"fmt"

	"github.com/IBM/sarama"
	"github.com/go-json-experiment/json/jsontext"
)

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
		if c.hold(a.name, a.value) {
			continue
		}
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
	dst, err := c.appendEnd(dst, m, contentType, e.tenant)
	if err != nil {
		return dst[:start], entity{}, err
	}
	return dst, e, nil
}

func (c *converter) appendEnd(dst []byte, m *sarama.ConsumerMessage, contentType, tenant []byte) ([]byte, error) {
	var err error
	if len(contentType) > 0 {
		if dst, err = c.appendAttribute(dst, []byte("datacontenttype"), contentType); err != nil {
			return dst, err
		}
	}
	return append(appendData(c.appendStamps(dst, m, tenant), m.Value, contentType), '}'), nil
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
