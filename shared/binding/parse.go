package binding

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/fault"
)

// Media types of events.
const (
	BatchMedia      = "application/cloudevents-batch+json"
	StructuredMedia = "application/cloudevents+json"
)

// Parse reads the events of a request, of which body is all, in one of the three
// modes of the CloudEvents HTTP binding. One that is too large is not read.
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
func (rd *Reader) Parse(r *http.Request, body []byte) ([]event.Received, error) {
	if err := checkEncoding(r); err != nil {
		return nil, err
	}
	contentType := r.Header.Get("Content-Type")
	media, _, _ := mime.ParseMediaType(contentType)
	binary, large := r.Header.Get("Ce-Specversion") != "", len(body) > rd.limits.MaxEventBytes
	switch {
	case len(r.Header["Content-Type"]) > 1:
		return nil, fault.New(fault.Unreadable, "header Content-Type comes %d times", len(r.Header["Content-Type"]))
	case media == BatchMedia:
		return rd.parseBatch(body)
	case large && (binary || media == StructuredMedia):
		return []event.Received{{Raw: body, Err: event.ErrTooLarge}}, nil
	case media == StructuredMedia:
		return []event.Received{event.ParseStructured(body)}, nil
	case binary:
		attributes, err := headerAttributes(r.Header)
		if err != nil {
			return nil, err
		}
		return []event.Received{event.ParseBinary(attributes, contentType, body)}, nil
	}
	return nil, fault.New(fault.WrongMedia, "want %s, %s, or ce- headers; got content type %q", BatchMedia, StructuredMedia, contentType)
}

func (rd *Reader) parseBatch(body []byte) ([]event.Received, error) {
	received, err := event.ParseBatch(body, MaxEvents, rd.limits.MaxEventBytes)
	if errors.Is(err, event.ErrTooMany) {
		return nil, fault.New(fault.TooLarge, "a request may have %d events", MaxEvents)
	}
	if err != nil {
		return nil, fault.New(fault.Unreadable, "%v", err)
	}
	return received, nil
}

func checkEncoding(r *http.Request) error {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return fault.New(fault.WrongMedia, "content encoding %q is not supported", encoding)
	}
	return nil
}

func headerAttributes(h http.Header) (map[string]string, error) {
	for name, values := range h {
		if _, ok := attributeOf(name); ok && len(values) != 1 {
			return nil, fault.New(fault.Unreadable, "header %s comes %d times", name, len(values))
		}
	}
	return Attributes(h), nil
}

// Attributes returns what the ce- headers of a request say; those that come
// several times are joined, as HTTP has it.
func Attributes(h http.Header) map[string]string {
	attributes := map[string]string{}
	for name, values := range h {
		if attribute, ok := attributeOf(name); ok {
			attributes[attribute] = decodeHeader(strings.Join(values, ", "))
		}
	}
	return attributes
}

func attributeOf(header string) (name string, ok bool) {
	return strings.CutPrefix(strings.ToLower(header), "ce-")
}

// decodeHeader undoes what the HTTP binding does to values that a header cannot
// hold: it percent-encodes them, and once let them be quoted strings. A percent
// sign that begins no such code stands for itself, as in what older clients
// send.
func decodeHeader(value string) string {
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		value = unquote(value[1 : len(value)-1])
	}
	if decoded, err := url.PathUnescape(value); err == nil {
		return decoded
	}
	return value
}

func unquote(quoted string) string {
	var out strings.Builder
	for i := 0; i < len(quoted); i++ {
		if quoted[i] == '\\' && i+1 < len(quoted) {
			i++
		}
		out.WriteByte(quoted[i])
	}
	return out.String()
}
