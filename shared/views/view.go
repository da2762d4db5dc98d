package views

import (
	"context"
	"fmt"
	"math"
)

const (
	// MaxVersion is the greatest version and epoch: a Lua number holds every
	// integer up to it exactly.
	MaxVersion = 1<<53 - 1
	// MaxBytes limits the data of one view, in bytes.
	MaxBytes = 1 << 20
)

// A View is what Redis shows of an entity at one version: a [Hash], a [Member], a
// [Bit] or a [Recent].
type View interface {
	// ref says what the view is of.
	ref() ref
	// measure says how large the view is, or what makes it unfit to be applied.
	measure() (size, error)
}

// size is how many arguments a view takes in a script call, and about how many
// bytes they have.
type size struct{ args, bytes int }

// KeyOf returns the key that a view is shown at.
func KeyOf(v View) string { return v.ref().key }

// Bytes is about how much memory a view's data takes.
func Bytes(v View) int {
	size, _ := v.measure() // an unfit view takes as much
	return size.bytes
}

// ref tells views apart: two views with the same key and member are of the same
// thing, and the one with the later version is what it shows.
type ref struct {
	kind    *kind
	key     string
	member  string // empty if the view is of the whole key
	version int64
}

// kind is how one type of view gets to Redis.
type kind struct {
	name       string
	companions []string // suffixes of the keys that lie beside the shown one
	script     *script
	// append appends what the script's write function reads of one key. All of
	// part is of that key, one view for each member. It may reorder part.
	append func(args *args, part []entry)
	// compare queues reads of one key and returns what is to be done with the
	// replies.
	compare func(ctx context.Context, pipe pipe, part []entry) func() []Difference
}

func checkCommon(key string, version int64, size size) error {
	switch {
	case !wellFormed(key):
		return fmt.Errorf("key %q was not built by Key", key)
	case version < 1 || version > MaxVersion:
		return fmt.Errorf("version %d is not between 1 and %d", version, int64(MaxVersion))
	case size.bytes > MaxBytes:
		return fmt.Errorf("%d bytes, more than %d", size.bytes, MaxBytes)
	}
	return nil
}

func checkScore(score float64) error {
	if math.IsNaN(score) || math.IsInf(score, 0) {
		return fmt.Errorf("score %v is not finite", score)
	}
	return nil
}
