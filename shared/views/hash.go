package views

import (
	_ "embed"
	"fmt"
)

// MaxFields is the greatest number of fields in a [Hash].
const MaxFields = 10_000

// Hash shows the whole of an entity as a Redis hash: fields that the view lacks
// are removed. A Hash without fields is deleted; it leaves a tombstone.
type Hash struct {
	Key     string // from Key
	Version int64  // of the entity; 1 to MaxVersion
	Fields  map[string]string
}

//go:embed hash.lua
var hashLua string

var hashKind = &kind{
	name:       "hash",
	companions: []string{":v"},
	script:     newScript(hashLua),
	append:     appendHash,
	compare:    compareHash,
}

func (h Hash) ref() ref { return ref{kind: hashKind, key: h.Key, version: h.Version} }

func (h Hash) check() error {
	if len(h.Fields) > MaxFields {
		return fmt.Errorf("%d fields, more than %d", len(h.Fields), MaxFields)
	}
	bytes := 0
	for field, value := range h.Fields {
		bytes += len(field) + len(value)
	}
	return checkCommon(h.Key, h.Version, bytes)
}

// appendHash appends version, then each field and its value.
func appendHash(args []any, part []entry) []any {
	hash := part[0].view.(Hash)
	args = append(args, hash.Version)
	for field, value := range hash.Fields {
		args = append(args, field, value)
	}
	return args
}
