package maintenance

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Days is a time that is written in whole days, as 35d.
type Days int

// Before returns the time that many days before now.
func (d *Days) Before(now time.Time) time.Time { return now.AddDate(0, 0, -int(*d)) }

// String implements [fmt.Stringer].
func (d *Days) String() string { return strconv.Itoa(int(*d)) + "d" }

// Set reads d from a flag.
func (d *Days) Set(text string) error {
	digits, ok := strings.CutSuffix(text, "d")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 0 {
		return fmt.Errorf("%q is no number of days, such as 35d", text)
	}
	*d = Days(n)
	return nil
}

// Type is what the help of a flag shows.
func (*Days) Type() string { return "days" }

// UnmarshalText reads d from the environment.
func (d *Days) UnmarshalText(text []byte) error { return d.Set(string(text)) }
