package views

import (
	"context"
	"fmt"
	"math"

	"github.com/redis/go-redis/v9"
)

// Difference is where Redis does not show what it should.
type Difference struct {
	Key    string
	Member string // empty if it is of the whole key
	Want   string
	Got    string
}

func (d Difference) String() string {
	if d.Member == "" {
		return fmt.Sprintf("%s: want %s, got %s", d.Key, d.Want, d.Got)
	}
	return fmt.Sprintf("%s %q: want %s, got %s", d.Key, d.Member, d.Want, d.Got)
}

// diffKeys is how many keys are read at once.
const diffKeys = 500

// Diff compares Redis with what it should show: for each view (of several of one
// thing, the latest) the same version and the same data. For a [Recent] key it
// needs at least the newest 2*Keep members, removed ones included. It tells the
// truth only while nothing is being applied. What Redis shows beyond these views
// is found by [Strays].
func Diff(ctx context.Context, client redis.UniversalClient, views []View) ([]Difference, error) {
	plan, err := newPlan(views)
	if err != nil {
		return nil, err
	}
	var found []Difference
	parts := plan.parts(math.MaxInt, math.MaxInt)
	for len(parts) > 0 {
		n := min(diffKeys, len(parts))
		pipe := client.Pipeline()
		checks := make([]func() []Difference, 0, n)
		for _, part := range parts[:n] {
			checks = append(checks, part[0].kind.compare(ctx, pipe, part))
		}
		if err := readBut(ctx, pipe, isOtherType); err != nil {
			return nil, fmt.Errorf("views: reading %d keys: %w", n, err)
		}
		for _, check := range checks {
			found = append(found, check()...)
		}
		parts = parts[n:]
	}
	return found, nil
}

// isOtherType reports whether a value is not of its view's type. It reads as none.
func isOtherType(err error) bool { return redis.HasErrorPrefix(err, "WRONGTYPE") }

// differ returns a difference if the texts differ.
func differ(key, member, want, got string) []Difference {
	if want == got {
		return nil
	}
	return []Difference{{Key: key, Member: member, Want: want, Got: got}}
}
