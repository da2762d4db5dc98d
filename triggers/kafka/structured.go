package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/IBM/sarama"
	"github.com/go-json-experiment/json/jsontext"
)

var errNotAnObject = errors.New("structured event: not a JSON object")

// structured converts an event whose value is already the JSON format: its
// members are copied as they are, in their order, less those that a stamp or an
// override replaces and those that are null, which is to say absent.
func (c *converter) structured(dst []byte, m *sarama.ConsumerMessage) ([]byte, entity, error) {
	c.input.Reset()
	c.input.Write(m.Value)
	c.decoder.Reset(&c.input)
	start := len(dst)
	dst, e, err := c.members(append(dst, '{'))
	if err != nil {
		return dst[:start], entity{}, err
	}
	return append(c.appendStamps(dst, m, e.tenant), '}'), e, nil
}

func (c *converter) members(dst []byte) ([]byte, entity, error) {
	var e entity
	var seen required
	if token, err := c.decoder.ReadToken(); err != nil || token.Kind() != '{' {
		return dst, e, errNotAnObject
	}
	for first := true; c.decoder.PeekKind() != '}'; {
		name, value, err := c.member(&dst, &first)
		if err != nil {
			return dst, e, fmt.Errorf("structured event: %w", err)
		}
		switch string(name) {
		case "specversion":
			c.name = text(c.name[:0], value)
			seen.specversion = string(c.name) == "1.0"
		case "tenantid":
			c.tenant = text(c.tenant[:0], value)
			e.tenant = c.tenant
		case "subject":
			c.subject = text(c.subject[:0], value)
			e.subject = c.subject
		case "id", "source", "type":
			if value[0] == '"' {
				seen.note(name, len(value)-len(`""`))
			}
		}
	}
	if _, err := c.decoder.ReadToken(); err != nil {
		return dst, e, fmt.Errorf("structured event: %w", err)
	}
	if _, err := c.decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return dst, e, errors.New("structured event: something follows the JSON object")
	}
	return dst, e, seen.missing()
}

// member reads one member and, unless it is replaced or null, appends it.
func (c *converter) member(dst *[]byte, first *bool) (name, value []byte, err error) {
	raw, err := c.decoder.ReadValue()
	if err != nil {
		return nil, nil, err
	}
	written := len(*dst)
	if !*first {
		*dst = append(*dst, ',')
	}
	*dst = append(append(*dst, raw...), ':') // raw is good only until the next read
	if c.name, err = jsontext.AppendUnquote(c.name[:0], raw); err != nil {
		return nil, nil, err
	}
	name = c.name
	if value, err = c.decoder.ReadValue(); err != nil {
		return nil, nil, err
	}
	if c.replaces(name) || bytes.Equal(value, []byte("null")) || c.holdMember(name, value) {
		*dst = (*dst)[:written]
		return name, value, nil
	}
	*dst = append(*dst, value...)
	*first = false
	return name, value, nil
}

// holdMember is hold for a member whose value is a string.
func (c *converter) holdMember(name, value []byte) bool {
	if c.tracer == nil || value[0] != '"' {
		return false
	}
	c.value = text(c.value[:0], value)
	return c.hold(name, c.value)
}

// text appends the string that a JSON value stands for; nothing if it is no
// string.
func text(dst, value []byte) []byte {
	if len(value) == 0 || value[0] != '"' {
		return dst
	}
	dst, _ = jsontext.AppendUnquote(dst, value) // the decoder has seen that it is valid
	return dst
}
