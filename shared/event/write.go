package event

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// AppendJSON appends e in the CloudEvents JSON format to dst.
func AppendJSON(dst []byte, e *Event) []byte {
	dst = append(dst, `{"specversion":"1.0"`...)
	dst = appendAttribute(dst, "id", e.ID)
	dst = appendAttribute(dst, "source", e.Source)
	dst = appendAttribute(dst, "type", e.Type)
	dst = appendAttribute(dst, "subject", e.Subject)
	dst = appendAttribute(dst, "tenantid", e.TenantID)
	if !e.Time.IsZero() {
		dst = appendAttribute(dst, "time", e.Time.Format(time.RFC3339Nano))
	}
	if e.Sequence != 0 {
		dst = appendAttribute(dst, "sequence", strconv.FormatInt(e.Sequence, 10))
	}
	dst = appendAttribute(dst, "traceparent", e.TraceParent)
	dst = appendAttribute(dst, "dataschema", e.DataSchema)
	dst = appendAttribute(dst, "datacontenttype", e.ContentType)
	for _, name := range e.extensionNames() {
		dst = appendAttribute(dst, name, e.Extensions[name])
	}
	switch {
	case e.IsJSON && len(e.Data) > 0:
		dst = append(append(dst, `,"data":`...), e.Data...)
	case len(e.Data) > 0:
		dst = append(dst, `,"data_base64":"`...)
		dst = append(base64.StdEncoding.AppendEncode(dst, e.Data), '"')
	}
	return append(dst, '}')
}

func (e *Event) extensionNames() []string {
	if len(e.Extensions) == 0 {
		return nil
	}
	names := make([]string, 0, len(e.Extensions))
	for name := range e.Extensions {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func appendAttribute(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	dst = append(append(append(dst, ',', '"'), name...), '"', ':')
	// The only error is invalid UTF-8, which comes out as U+FFFD.
	dst, _ = jsontext.AppendQuote(dst, value)
	return dst
}

// Digest identifies what e says, apart from its identity and from what a
// delivery changes: type, subject, sequence and data. JSON data is taken in
// the canonical form of RFC 8785, but with numbers as they are written: that
// form would round them to doubles, and make two amounts of money one.
func (e *Event) Digest() [sha256.Size]byte {
	buf := make([]byte, 0, 512)
	buf = appendSized(buf, e.Type)
	buf = appendSized(buf, e.Subject)
	buf = binary.BigEndian.AppendUint64(buf, uint64(e.Sequence))
	if !e.IsJSON {
		return sha256.Sum256(append(append(buf, 'b'), e.Data...))
	}
	canonical, err := jsontext.AppendFormat(append(buf, 'j'), e.Data,
		jsontext.CanonicalizeRawInts(false),
		jsontext.CanonicalizeRawFloats(false),
		jsontext.ReorderRawObjects(true))
	if err != nil { // not reached for data that IsJSON
		canonical = append(append(buf, 'b'), e.Data...)
	}
	return sha256.Sum256(canonical)
}

func appendSized(dst []byte, s string) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(s)))
	return append(dst, s...)
}

// OtherAttributes returns the attributes that no column of the audit log holds
// as a JSON object, or nil if there are none.
func (e *Event) OtherAttributes() []byte {
	rest := Event{TraceParent: e.TraceParent, DataSchema: e.DataSchema, Extensions: e.Extensions}
	if e.ContentType != "application/json" {
		rest.ContentType = e.ContentType
	}
	const empty = `{"specversion":"1.0"`
	out := AppendJSON(nil, &rest)
	if len(out) == len(empty)+1 {
		return nil
	}
	return append([]byte{'{'}, out[len(empty)+1:]...)
}
