package views

import (
	"context"
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
	// Publish tells subscribers of the channel that is named as the key of a newer
	// version, in decimal. See [Recent] for what that promises.
	Publish bool
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

func (h Hash) measure() (size, error) {
	size := size{args: 2 + 2*len(h.Fields)}
	for field, value := range h.Fields {
		size.bytes += len(field) + len(value)
	}
	if len(h.Fields) > MaxFields {
		return size, fmt.Errorf("%d fields, more than %d", len(h.Fields), MaxFields)
	}
	return size, checkCommon(h.Key, h.Version, size)
}

// appendHash appends version, whether to publish, then each field and its value.
func appendHash(args *args, part []entry) {
	args.number(&part[0].version)
	hash := as[Hash](&part[0])
	args.flag(hash.Publish)
	for field, value := range hash.Fields {
		args.text(field)
		args.text(value)
	}
}

func compareHash(ctx context.Context, pipe pipe, part []entry) func() []Difference {
	want := as[Hash](&part[0])
	fields, stored := pipe.HGetAll(ctx, want.Key), pipe.Get(ctx, want.Key+":v")
	return func() []Difference {
		have := storedVersion(stored.Val())
		if have == 0 && len(want.Fields) == 0 && len(fields.Val()) == 0 {
			return nil // a tombstone that has expired
		}
		return differ(want.Key, "",
			showFields(want.Version, want.Fields), showFields(have, fields.Val()))
	}
}

func showFields(version int64, fields map[string]string) string {
	if fields == nil {
		fields = map[string]string{}
	}
	return fmt.Sprintf("version %d %q", version, fields) // maps print sorted
}
