package event

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Received is what one position of a request held: an Event, or the Err that
// says why there is none. Raw is what arrived, in JSON where it came in JSON.
type Received struct {
	Event *Event
	Raw   []byte
	Err   error // an *Invalid, or ErrTooLarge
}

// ErrTooMany says that a batch has more events than are allowed.
var ErrTooMany = errors.New("reading a CloudEvents batch: too many events")

// ErrTooLarge says that an event has more bytes than are allowed. It was not
// read then.
var ErrTooLarge = errors.New("the event is too large")

// ParseBatch reads a CloudEvents JSON batch of up to limit events, of up to
// largest bytes each. Its error is ErrTooMany, or means that the body as a whole is no
// JSON array; an element that is no event, or is too large, is returned as such.
// The results share memory with body.
func ParseBatch(body []byte, limit, largest int) ([]Received, error) {
	// One element's duplicate names or bad text must not spoil its neighbours:
	// they are judged element by element.
	dec := jsontext.NewDecoder(bytes.NewBuffer(body),
		jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if tok, err := dec.ReadToken(); err != nil {
		return nil, fmt.Errorf("reading a CloudEvents batch: %w", err)
	} else if tok.Kind() != '[' {
		return nil, fmt.Errorf("reading a CloudEvents batch: want a JSON array, got %s", tok.Kind())
	}
	var events []Received
	for dec.PeekKind() != ']' {
		if len(events) == limit {
			return nil, ErrTooMany
		}
		raw, err := dec.ReadValue()
		if err != nil {
			return nil, fmt.Errorf("reading event %d of a CloudEvents batch: %w", len(events), err)
		}
		end := dec.InputOffset()
		events = append(events, parseUpTo(largest, body[end-int64(len(raw)):end:end]))
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, fmt.Errorf("reading the end of a CloudEvents batch: %w", err)
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errors.New("reading a CloudEvents batch: something follows the array")
	}
	return events, nil
}

func parseUpTo(largest int, raw []byte) Received {
	if len(raw) > largest {
		return Received{Raw: raw, Err: ErrTooLarge}
	}
	return ParseStructured(raw)
}

// ParseStructured reads one event of the JSON format.
func ParseStructured(raw []byte) Received {
	e, err := parseStructured(raw)
	if err != nil {
		if AsInvalid(err) == nil {
			err = Invalidf(Malformed, "%v", err)
		}
		return Received{Raw: raw, Err: err}
	}
	return Received{Event: e, Raw: raw}
}

func parseStructured(raw []byte) (*Event, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw))
	if tok, err := dec.ReadToken(); err != nil {
		return nil, err
	} else if tok.Kind() != '{' {
		return nil, fmt.Errorf("want a JSON object, got %s", tok.Kind())
	}
	e := &Event{}
	version, hasData := "", false
	for dec.PeekKind() != '}' {
		tok, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		name := tok.String()
		value, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		switch name {
		case "data", "data_base64":
			if hasData {
				return nil, errors.New("both data and data_base64")
			}
			hasData = true
			if err := e.setData(name, value); err != nil {
				return nil, err
			}
		default:
			if value.Kind() == 'n' {
				continue // null: the attribute is absent
			}
			text, err := scalar(name, value)
			if err != nil {
				return nil, err
			}
			if name == "specversion" {
				version = text
			} else if err := e.SetAttribute(name, text); err != nil {
				return nil, err
			}
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the event")
	}
	// Clients that are given bytes send them so whatever they are: the SDK for Go
	// does. Only the content type says what they mean, as in binary mode.
	if !e.IsJSON {
		e.takeJSON()
	}
	return e, checkVersion(version)
}

func checkVersion(version string) error {
	if version != "1.0" {
		return fmt.Errorf("specversion is %q, want \"1.0\"", version)
	}
	return nil
}

func (e *Event) setData(name string, value jsontext.Value) error {
	if name == "data" {
		e.Data, e.IsJSON = bytes.Clone(value), true
		return nil
	}
	tok, err := jsontext.NewDecoder(bytes.NewBuffer(value)).ReadToken()
	if err != nil || tok.Kind() != '"' {
		return errors.New("data_base64 is no string")
	}
	e.Data, err = base64.StdEncoding.DecodeString(tok.String())
	if err != nil {
		return fmt.Errorf("data_base64: %w", err)
	}
	if len(e.Data) == 0 {
		e.Data = nil
	}
	return nil
}

// scalar returns the text of an attribute's JSON value, as in the string
// encoding of the CloudEvents type system.
func scalar(name string, value jsontext.Value) (string, error) {
	switch value.Kind() {
	case '"':
		text, err := jsontext.AppendUnquote(nil, value)
		return string(text), err
	case '0', 't', 'f':
		return string(value), nil
	}
	return "", fmt.Errorf("attribute %s is neither string, number nor boolean", name)
}

// SetAttribute sets the context attribute of the given name from its string
// encoding.
func (e *Event) SetAttribute(name, value string) (err error) {
	switch name {
	case "id":
		e.ID = value
	case "source":
		e.Source = value
	case "type":
		e.Type = value
	case "subject":
		e.Subject = value
	case "tenantid":
		e.TenantID = value
	case "traceparent":
		e.TraceParent = value
	case "dataschema":
		e.DataSchema = value
	case "datacontenttype":
		e.ContentType = value
	case "time":
		if e.Time, err = time.Parse(time.RFC3339Nano, value); err != nil {
			return Invalidf(BadAttribute, "time %q is not RFC 3339", value)
		}
		// PostgreSQL keeps microseconds: what is decided is what is stored.
		e.Time = e.Time.UTC().Truncate(time.Microsecond)
	case "sequence":
		e.Sequence, err = strconv.ParseInt(value, 10, 64)
		if err != nil || e.Sequence < 1 || e.Sequence >= MaxSequence {
			return Invalidf(BadAttribute, "sequence %q is no whole number from 1 to 2^53-1", value)
		}
	default:
		if !attributeName(name) {
			return Invalidf(Malformed, "attribute name %q is not lower-case letters and digits, or is data", name)
		}
		if value == "" {
			return nil // as good as absent, and written so
		}
		if len(e.Extensions) >= MaxExtras { // here too, since a body has room for a million
			return Invalidf(BadAttribute, "more than %d extension attributes", MaxExtras)
		}
		if e.Extensions == nil {
			e.Extensions = map[string]string{}
		}
		e.Extensions[name] = value
	}
	return nil
}

func attributeName(name string) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return name != "" && name != "data" && len(name) <= MaxID
}

// IsJSONType reports whether a content type announces JSON; an absent one
// does, by the CloudEvents specification.
func IsJSONType(contentType string) bool {
	if contentType == "" {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	_, subtype, whole := strings.Cut(media, "/")
	return err == nil && whole && (subtype == "json" || strings.HasSuffix(subtype, "+json"))
}

// takeJSON takes bytes for JSON that are announced as such, and are. The space
// around it is no part of it, as in an event that is JSON as a whole.
func (e *Event) takeJSON() {
	if e.IsJSON = IsJSONType(e.ContentType) && jsontext.Value(e.Data).IsValid(); e.IsJSON {
		e.Data = bytes.Trim(e.Data, " \t\r\n")
	}
}

// ParseBinary makes an event of the attributes and the data of a binary-mode
// message. The data is taken as it is; of JSON, without the space around it.
func ParseBinary(attributes map[string]string, contentType string, data []byte) Received {
	e := &Event{ContentType: contentType, Data: data}
	for name, value := range attributes {
		if name == "specversion" {
			continue
		}
		if err := e.SetAttribute(name, value); err != nil {
			return Received{Raw: data, Err: err}
		}
	}
	if err := checkVersion(attributes["specversion"]); err != nil {
		return Received{Raw: data, Err: Invalidf(Malformed, "%v", err)}
	}
	e.takeJSON()
	return Received{Event: e, Raw: AppendJSON(nil, e)}
}
