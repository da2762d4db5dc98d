package kafka

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/millrace/millrace/shared/event"
)

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

func (r *required) missing() error {
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

// isJSON tells that a content type announces JSON.
func isJSON(contentType []byte) bool {
	switch string(contentType) { // as nearly all write it
	case "", "application/json", "application/json; charset=utf-8":
		return true
	}
	return event.IsJSONType(string(contentType))
}
