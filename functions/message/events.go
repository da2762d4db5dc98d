package message

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/millrace/millrace/shared/function"
)

// Limits of a message. They keep it within an event, and its words within what
// PostgreSQL's full-text index takes.
const (
	maxText        = 65_536 // characters
	maxAttachments = 20
	maxBytes       = 1 << 53 // of an attachment; exclusive
	maxDetails     = 16_384  // bytes
	maxDepth       = 20      // of details
)

// SentV1 is the payload of message.sent.v1.
type SentV1 struct {
	Author      string         `json:"author"`
	Text        string         `json:"text"`
	Attachments []Attachment   `json:"attachments"` // nil: none were given
	Details     jsontext.Value `json:"details"`     // an object
}

// Attachment is a file that goes with a message, and lies elsewhere.
type Attachment struct {
	Name      string `json:"name"`
	URL       string `json:"url"`
	MediaType string `json:"media_type,omitempty"`
	Bytes     int64  `json:"bytes,omitempty"`
}

// Validate implements function.Payload.
func (p SentV1) Validate() error {
	if p.Text == "" && p.Attachments == nil {
		return errors.New("text and attachments are missing: want one of them")
	}
	if len(p.Attachments) > maxAttachments {
		return fmt.Errorf("attachments are %d, %d are allowed", len(p.Attachments), maxAttachments)
	}
	for _, a := range p.Attachments {
		if err := a.validate(); err != nil {
			return err
		}
	}
	return cmp.Or(
		function.CheckText("author", p.Author, 128),
		function.CheckOptionalText("text", layout.Replace(p.Text), maxText),
		checkDetails(p.Details),
	)
}

// Confidential implements function.Confidential.
func (SentV1) Confidential() []string { return []string{"text", "attachments", "details"} }

func (a Attachment) validate() error {
	if a.Bytes < 0 || a.Bytes >= maxBytes {
		return fmt.Errorf("bytes is %d, want 0 to 2^53-1", a.Bytes)
	}
	return cmp.Or(
		function.CheckText("name", a.Name, 255),
		function.CheckText("url", a.URL, 2048),
		function.CheckOptionalText("media_type", a.MediaType, 127),
	)
}

// EditedV1 is the payload of message.edited.v1: what the message says now.
type EditedV1 struct {
	Message string `json:"message"` // id of the event that sent it
	Text    string `json:"text"`
}

// Validate implements function.Payload.
func (p EditedV1) Validate() error {
	return cmp.Or(
		function.CheckReference("message", p.Message),
		function.CheckText("text", layout.Replace(p.Text), maxText),
	)
}

// Confidential implements function.Confidential.
func (EditedV1) Confidential() []string { return []string{"text"} }

// RefersTo implements function.Referring.
func (p EditedV1) RefersTo(own function.Name) function.Name {
	return function.Name{Source: own.Source, ID: p.Message}
}

// RedactedV1 is the payload of message.redacted.v1: nobody may read the message
// any more.
type RedactedV1 struct {
	Message string `json:"message"` // id of the event that sent it
	Source  string `json:"source"`  // of that event; empty: this event's own
	Reason  string `json:"reason"`
}

// Validate implements function.Payload.
func (p RedactedV1) Validate() error {
	return cmp.Or(
		function.CheckReference("message", p.Message),
		function.CheckOptionalText("source", p.Source, 512),
		function.CheckOptionalText("reason", p.Reason, 500),
	)
}

// RefersTo implements function.Referring.
func (p RedactedV1) RefersTo(own function.Name) function.Name {
	return function.Name{Source: cmp.Or(p.Source, own.Source), ID: p.Message}
}

// layout are the control characters that a text may have.
var layout = strings.NewReplacer("\n", " ", "\r", " ", "\t", " ")

// checkDetails checks what is somebody else's to define: it must be an object
// that PostgreSQL can store.
func checkDetails(details jsontext.Value) error {
	if kind := details.Kind(); kind == 'n' || kind == 0 {
		return nil
	} else if kind != '{' {
		return errors.New("details must be an object")
	}
	if len(details) > maxDetails {
		return fmt.Errorf("details have %d bytes, %d are allowed", len(details), maxDetails)
	}
	dec := jsontext.NewDecoder(bytes.NewReader(details))
	for tok, err := dec.ReadToken(); err == nil; tok, err = dec.ReadToken() {
		if dec.StackDepth() > maxDepth {
			return fmt.Errorf("details are nested deeper than %d", maxDepth)
		}
		if tok.Kind() == '"' && strings.ContainsRune(tok.String(), 0) {
			return errors.New("details hold the control character 0x00")
		}
	}
	return nil // the end: it was read before
}
