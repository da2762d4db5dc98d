package traffic

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Settings say what traffic to make. The zero value is that of [Defaults] with
// nothing in it: begin with those.
type Settings struct {
	Seed  uint64
	Start time.Time // when the first event happens
	// Rate is records a second; 0: a million, for those who do not pace.
	Rate  float64
	Spike Spike
	// It ends after so many events, or after so long; both 0: never. What was
	// held back then still comes.
	Events   int
	Duration time.Duration

	Tenants int
	// Entities is how many agents, accounts and open conversations each tenant has.
	Entities int
	// Skew is the exponent of Zipf's law, over tenants and over the entities of
	// each: 0 treats all alike, at 1 the second gets half of what the first gets.
	Skew float64
	// Mix is the weight of each family; one that is not in it is left out.
	Mix map[string]float64
	// Sequences number the events of each stream.
	Sequences bool

	// Shares of events, from 0 to 1.
	Duplicates float64 // that come again
	Reorder    float64 // that a few later ones overtake
	Gaps       float64 // that many later ones overtake
	OpenGaps   float64 // of the gaps, those that are never closed: the event is lost
	Poison     float64 // how many records that cannot be decided come on top
}

// Spike multiplies the rate by Factor at the end of each period of Every, for
// For. The zero value is none.
type Spike struct {
	Factor     float64
	For, Every time.Duration
}

// Defaults are traffic without a fault and without an end: half messages, a
// quarter conversations and agents, a quarter financial.
func Defaults() Settings {
	return Settings{
		Seed: 1, Rate: 1000, Tenants: 20, Entities: 100, Skew: 1,
		Mix: map[string]float64{"message": 50, "conversation": 20, "agent": 5, "trade": 23, "position": 1, "ledger": 1},
	}
}

// families are those that there are stories of.
var families = []string{"agent", "conversation", "message", "trade", "position", "ledger"}

// Only leaves nothing but these families in the mix.
func (s *Settings) Only(names ...string) error {
	mix := map[string]float64{}
	for _, f := range names {
		if !slices.Contains(families, f) {
			return fmt.Errorf("there is no family %q, want some of %s", f, strings.Join(families, ", "))
		}
		if mix[f] = s.Mix[f]; mix[f] == 0 {
			mix[f] = 1
		}
	}
	s.Mix = mix
	return nil
}

// Validate names everything that is out of range.
func (s *Settings) Validate() error {
	var errs []error
	check := func(good bool, format string, args ...any) {
		if !good {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	for _, share := range []struct {
		name  string
		value float64
	}{{"duplicates", s.Duplicates}, {"reorder", s.Reorder}, {"gaps", s.Gaps}, {"open gaps", s.OpenGaps}, {"poison", s.Poison}} {
		check(share.value >= 0 && share.value <= 1, "the share of %s is %v, want 0 to 1", share.name, share.value)
	}
	check(s.Rate >= 0, "the rate is %v, want 0 or more", s.Rate)
	check(s.Tenants > 0 && s.Tenants <= 10_000, "tenants are %d, want 1 to 10000", s.Tenants)
	check(s.Entities > 0 && s.Entities <= 100_000, "entities are %d, want 1 to 100000", s.Entities)
	check(s.Skew >= 0 && s.Skew <= 5, "skew is %v, want 0 to 5", s.Skew)
	check(s.Events >= 0 && s.Duration >= 0, "events and duration are not below 0")
	check(s.Spike == Spike{} || s.Spike.Factor > 0 && s.Spike.For > 0 && s.Spike.For <= s.Spike.Every,
		"a spike is a factor above 0 and lasts at most as long as its period")
	total := 0.0
	for _, family := range slices.Sorted(maps.Keys(s.Mix)) {
		check(slices.Contains(families, family), "there is no family %q", family)
		check(s.Mix[family] >= 0, "the weight of %s is %v, want 0 or more", family, s.Mix[family])
		total += s.Mix[family]
	}
	check(total > 0, "no family is in the mix")
	return errors.Join(errs...)
}
