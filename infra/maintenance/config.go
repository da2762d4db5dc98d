package maintenance

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Horizon is for how many days identities are remembered at least: what the
// documentation promises to producers.
const Horizon Days = 35

// Config says what is to be done.
type Config struct {
	// Ahead is how many months after this one have partitions. The month before
	// always has one, as clocks differ and events come late.
	Ahead int `env:"MAINTAIN_AHEAD" envDefault:"3"`
	// DetachAfter is after how many months a table's month is taken out of it and
	// kept in schema millrace_archive: table:months,table:months.
	DetachAfter map[string]int `env:"MAINTAIN_DETACH_AFTER"`
	// DropAfter is after how many months a table's month is dropped, detached or
	// not: table:months,table:months.
	DropAfter map[string]int `env:"MAINTAIN_DROP_AFTER"`
	// SeenAfter is for how long the identity of a decided event is remembered, at
	// least 35d.
	SeenAfter Days `env:"MAINTAIN_SEEN_AFTER" envDefault:"35d"`
	// LettersAfter is after what time a dead letter that was redriven or dropped
	// is deleted, at least 35d; 0d: never.
	LettersAfter Days `env:"MAINTAIN_LETTERS_AFTER" envDefault:"0d"`

	// DryRun only tells what would be done.
	DryRun bool
	// Now is the time that everything is reckoned from; zero: the clock's. Where it
	// is ahead of PostgreSQL's, what is old is reckoned from PostgreSQL's.
	Now time.Time
	// Tell hears of each thing as it is done; it may be nil.
	Tell func(Done)
	// Pages is how many pages of 8 KiB are worked on in one transaction; 0: 64.
	Pages int64
	// Patience is for how long a step tries again while others are in its way; 0:
	// two minutes.
	Patience time.Duration
}

// Validate names everything that is wrong.
func (c *Config) Validate() error {
	var errs []error
	if c.Ahead < 1 || c.Ahead > 120 {
		errs = append(errs, fmt.Errorf("months ahead are %d, want 1 to 120", c.Ahead))
	}
	if c.SeenAfter < Horizon {
		errs = append(errs, fmt.Errorf("identities are to be forgotten after %s: producers are promised %d days", c.SeenAfter.String(), Horizon))
	}
	if c.LettersAfter != 0 && c.LettersAfter < Horizon {
		errs = append(errs, fmt.Errorf("settled dead letters are to be deleted after %s, want at least %dd", c.LettersAfter.String(), Horizon))
	}
	for _, after := range []map[string]int{c.DetachAfter, c.DropAfter} {
		for _, name := range slices.Sorted(maps.Keys(after)) {
			if after[name] < 1 {
				errs = append(errs, fmt.Errorf("months of %s are to go after %d months, want 1 or more", name, after[name]))
			}
		}
	}
	for name, drop := range c.DropAfter {
		if drop < c.DetachAfter[name] {
			errs = append(errs, fmt.Errorf("months of %s are to be dropped after %d months, before they are detached", name, drop))
		}
	}
	return errors.Join(errs...)
}
